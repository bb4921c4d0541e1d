#include "coordinator/policy/fallbacks.h"

#include <algorithm>

namespace sluice::coordinator {

std::vector<std::size_t> fallbacks(const ClusterSnapshot& c, const RequestFeatures& r, const Candidate& chosen) {
  std::vector<std::size_t> out;
  if (r.profile) return out;
  for (std::size_t f = 0; f < c.profiles.size(); ++f)
    if (c.profiles[f].kl <= r.quality_budget) out.push_back(f);
  const auto& speeds = c.prefills[chosen.prefill].profiles;
  const auto ratio = [&](std::size_t f) { return speeds[f].ratio; };
  std::ranges::stable_sort(out, [&](std::size_t a, std::size_t b) { return c.profiles[a].kl < c.profiles[b].kl; });
  double most = ratio(chosen.profile);
  std::erase_if(out, [&](std::size_t f) {
    if (ratio(f) <= most) return true;
    most = ratio(f);
    return false;
  });
  if (out.size() > kMostFallbacks) {
    out[kMostFallbacks - 1] = out.back();
    out.resize(kMostFallbacks);
  }
  return out;
}

}  // namespace sluice::coordinator
