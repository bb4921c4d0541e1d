#pragma once
// What a running cluster says of itself: the coordinator's views, and each node's page /host, asked directly.
// Everything that is asked has a bound in time and bytes; who does not answer, or answers nonsense, is a fact, not a
// failure. Threading: gather_cluster() blocks and asks nodes side by side.
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/ctl/api.h"
#include "coordinator/ctl/doctor/machine.h"

namespace sluice::ctl::doctor {

struct LinkFacts {
  std::string address;  // the decode node's
  double bytes_per_s = 0, rtt_s = 0;
};

struct NodeFacts {
  std::string name, role, state, admin_address, data_address;
  bool admin_tls = false;  // its pages are HTTPS
  std::string backend, precision, version, model_hash;
  double heartbeat_age_ms = 0;
  std::vector<LinkFacts> links;
  std::optional<Machine> machine;
  std::string page_error;                // why there is none
  std::optional<double> clock_offset_s;  // ahead of ours
  double clock_error_s = 0;              // half the round trip
};

struct RefusedNode {
  std::string name, why;
  double age_s = 0;
};

/// A node that should be there: of the local cluster, or named by the user.
struct Expected {
  std::string name;
  bool ended = false;   // its process is known to be gone
  std::string log_end;  // of one that ended
};

struct ClusterFacts {
  std::string address;
  std::optional<Error> error;  // the coordinator cannot be asked
  bool ready = false;
  std::string reason, model, version, control_address;
  std::optional<double> clock_offset_s;  // the coordinator's, ahead of ours
  double clock_error_s = 0;
  std::optional<double> max_files;  // that the coordinator may open
  std::vector<NodeFacts> nodes;
  std::vector<RefusedNode> refused;
  std::vector<Expected> expected;
};

struct ClusterQuestion {
  Endpoint coordinator;
  std::vector<Expected> expected;
  std::chrono::milliseconds node_limit{3000};
};

[[nodiscard]] ClusterFacts gather_cluster(const ClusterQuestion& q);

/// The coordinator's answers as facts; `nodes` are not asked here. Tolerates anything.
void read_status(const nlohmann::json& status, ClusterFacts& out);
void read_nodes(const nlohmann::json& nodes, ClusterFacts& out);
/// A sample of the text format: the value of a series without labels.
[[nodiscard]] std::optional<double> sample_in(const std::string& metrics, const std::string& series);

}  // namespace sluice::ctl::doctor
