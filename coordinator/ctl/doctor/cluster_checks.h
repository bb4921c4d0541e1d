#pragma once
// What a cluster's facts mean. Pure: facts in, findings out.
#include <optional>

#include "coordinator/ctl/doctor/cluster.h"
#include "coordinator/ctl/doctor/finding.h"
#include "coordinator/ctl/doctor/perftest.h"

namespace sluice::ctl::doctor {

/// The coordinator, and who is there or is not.
[[nodiscard]] Findings judge_members(const ClusterFacts& c);
/// Versions, bits, clocks, machines shared by several nodes, each node's own machine. this_machine: the boot id of a
/// machine that was judged apart; of it only what its nodes share is said.
[[nodiscard]] Findings judge_nodes(const ClusterFacts& c, double max_connections, const std::string& this_machine = {});
/// Each link's speed and round trip, what UCX chose for it, beside the interface's nominal speed and UCX's own measure.
[[nodiscard]] Findings judge_links(const ClusterFacts& c, const std::optional<Perftest>& perftest);
/// The same figures as data.
[[nodiscard]] nlohmann::json links_json(const ClusterFacts& c);

}  // namespace sluice::ctl::doctor
