#pragma once
// Where a node's coordinators are: those that --coordinator names, and those that stand in the registry now. The last
// list stays in force while the registry cannot be reached. Threading: one io_context thread; never blocks.
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "common/etcd/watch.h"
#include "common/metrics.h"
#include "node/node_options.h"

namespace sluice::node {

class CoordinatorList {
 public:
  using OnList = std::function<void(const std::set<std::string>& control_addresses)>;

  /// Throws UsageError: neither is given, an address that is none, a certificate that cannot be read.
  CoordinatorList(boost::asio::io_context& io, const NodeOptions& o, Metrics& metrics);
  ~CoordinatorList();
  /// on_list: at once with those that are named, then whenever the registry's change.
  void start(OnList on_list);
  void stop();
  /// Those shown to the registry; null: none.
  [[nodiscard]] const std::shared_ptr<tls::Source>& certificates() const noexcept { return certificates_; }

 private:
  void changed(const etcd::Watch::Keys& keys);
  void reached(const Result<>& r);

  std::set<std::string> named_;
  OnList on_list_;
  std::shared_ptr<tls::Source> certificates_;
  std::unique_ptr<etcd::Client> client_;
  std::unique_ptr<etcd::Watch> watch_;
  std::optional<Gauge> up_;
};

}  // namespace sluice::node
