#pragma once
// All that a coordinator shares with others through etcd: joins the client, the watch of the shared keys, and those who
// live on it. Nothing a request waits for is here. Threading: one io_context thread. Failure: the constructor throws
// std::runtime_error for certificates that cannot be read; etcd itself may come and go.
#include <memory>

#include "common/etcd/registry.h"
#include "common/metrics.h"
#include "coordinator/registry/learned_exchange.h"
#include "coordinator/registry/membership.h"
#include "coordinator/registry/shared_settings.h"

namespace sluice::coordinator {

inline constexpr const char* kRegistryUpHelp =
    "1 while the registry that coordinators share answers; none without one.";

class SharedRegistry {
 public:
  struct Uses {
    const Clock& clock;
    Metrics& metrics;
    std::function<nlohmann::json()> slo_classes;  // as SharedSettings::Uses
    std::function<void(const nlohmann::json&)> take_over_slo_classes;
    LearnedExchange::Uses learned;
  };
  SharedRegistry(boost::asio::io_context& io, const etcd::Registry& where, const Member& me, const Uses& uses);

  void start();
  /// Gives up this coordinator's place, so that others take over at once.
  void leave();
  void stop();

  [[nodiscard]] bool leads() const { return membership_.leads(); }
  [[nodiscard]] bool in_touch() const { return watch_.in_touch(); }
  [[nodiscard]] const std::vector<Member>& members() const { return membership_.members(); }
  /// Those shown to etcd; null: none.
  [[nodiscard]] const std::shared_ptr<tls::Source>& certificates() const noexcept { return certificates_; }
  [[nodiscard]] SloStore& slo_store() noexcept { return settings_; }

 private:
  void on_reach(const Result<>& r);

  std::shared_ptr<tls::Source> certificates_;
  etcd::Client client_;
  Membership membership_;
  SharedSettings settings_;
  LearnedExchange learned_;
  etcd::Watch watch_;
  Gauge up_;
};

}  // namespace sluice::coordinator
