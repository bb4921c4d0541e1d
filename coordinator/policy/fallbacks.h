#pragma once
// Profiles that a sender may change to when its link gives way in mid-transfer (common/tightening). Pure.
#include <cstddef>
#include <vector>

#include "coordinator/policy/types.h"

namespace sluice::coordinator {

inline constexpr std::size_t kMostFallbacks = 4;

/// Profiles within the request's quality budget that are smaller on the wire than the chosen one, each smaller than the
/// better ones before it: least KL first, the smallest always among them. None when the client pinned the profile.
/// Indices of the snapshot's profiles.
[[nodiscard]] std::vector<std::size_t> fallbacks(const ClusterSnapshot& c, const RequestFeatures& r,
                                                 const Candidate& chosen);

}  // namespace sluice::coordinator
