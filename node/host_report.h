#pragma once
// What a node daemon says of the machine it is on and of what it uses there: the page /host, and --host-report, which
// prints the same and starts nothing. `sluicectl doctor` reads it; docs/doctor.md says what it makes of it. It tells no
// secret: no token, no key.
// Threading: the thread that owns it; now() takes some milliseconds at its first call, when UCX is asked.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kvtransfer/transport/fabric.h"
#include "node/node_options.h"

namespace sluice::node {

class HostReport {
 public:
  HostReport(const NodeOptions& o, std::string role) : o_(o), role_(std::move(role)) {}

  /// paths: those open now; what UCX chose for each peer.
  [[nodiscard]] nlohmann::json now(const std::vector<kv::OpenPath>& paths);

 private:
  NodeOptions o_;
  std::string role_;
  std::optional<nlohmann::json> fabric_;  // asked once: it does not change while the process lives
};

/// Adds --host-report. Add it behind all other options.
void add_host_report(flags::App& app, const NodeOptions& o, const std::string& role);

}  // namespace sluice::node
