#pragma once
// Says which objectives are within reach of the nodes and links that are here, what binds, and what to change.
// Pure: predictions over snapshots by the placement that serves.
#include <nlohmann/json.hpp>
#include <string>

#include "coordinator/policy/placement.h"

namespace sluice::coordinator {

/// What recent requests of the class looked like; zeros where there were none.
struct RecentRequests {
  std::size_t finished = 0, met = 0;
  double prompt_tokens = 0, output_tokens = 0;  // medians
};

/// {"class", "slo", "prompt_tokens", "reachable", "idle": {...}, "now": {...}, "recent": {...}, "binds", "advice":
/// [...]}
[[nodiscard]] nlohmann::json explain_slo(const std::string& name, const Slo& slo, const RecentRequests& recent,
                                         const ClusterSnapshot& c, Placement& placement, TimePoint now);

}  // namespace sluice::coordinator
