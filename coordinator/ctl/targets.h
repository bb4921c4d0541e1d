#pragma once
// The list of what Prometheus scrapes of a local cluster, in the form its file_sd_configs read: the coordinators and
// the nodes' admin addresses, labelled with role, node and model.
// Threading: pure values; to_targets() asks nobody.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace sluice::ctl {

/// coordinators: each one's name and host:port. model: what clients ask for; empty: not known. nodes: the answer of
/// /sluice/v1/nodes, or null while none is known. Nodes that do not say where their pages are, are left out.
[[nodiscard]] std::string to_targets(const std::vector<std::pair<std::string, std::string>>& coordinators,
                                     const std::string& model, const nlohmann::json& nodes);

}  // namespace sluice::ctl
