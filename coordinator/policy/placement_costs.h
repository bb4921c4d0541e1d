#pragma once
// What several parts of a decision weigh alike. Pure.
#include <algorithm>
#include <cmath>

#include "coordinator/policy/types.h"

namespace sluice::coordinator {

/// Whether this prefill node can cut the prompt where it must be cut.
[[nodiscard]] bool cuts_there(const PrefillView& p, const RequestFeatures& r);

/// Nodes whose costs differ by less are alike, and share: of equal nodes the one that chance made look better by a
/// little would get everything, and the other be known ever less.
inline constexpr float kAlikeShare = 0.05F;

/// Where quality comes first, how much more what a candidate costs others counts than its own time: its own objective
/// is as good as met, theirs may be near. Chosen by the registered scenarios (docs/evidence/controller.md): with 1
/// others miss theirs more often, with 3 a sixth more quality is spent than with 1.
inline constexpr float kOthers = 2;

/// What a decode node's speed costs, in units of a TTFT as long as its objective. Near and past the TPOT objective it
/// outweighs any faster start.
inline float tpot_cost(float tpot_s, double slo_s) {
  const auto share = static_cast<float>(tpot_s / std::max(slo_s, 1e-9));
  return 0.25F * share + 10.0F * std::max(0.0F, share - 0.9F);
}

/// Seconds that work of `own` seconds costs those who come after it, summed over them, when it finds `wait` seconds of
/// other work: see price_all. size_share: an average request's work over this one's.
inline float delay_behind(float rate, float wait, float own, float size_share) {
  constexpr float kMostLoad = 0.95F;
  const float busy = rate * own;
  return busy * (wait + 0.5F * own) / (1 - std::min(busy * size_share, kMostLoad));
}

/// How many standard deviations below its bound a normal quantity's mean must be to stay below it with this chance
/// (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.23; off by 4.5e-4 at most).
inline double deviations(double chance) {
  const double beyond = 1 - std::clamp(chance, 0.5, 0.9999);
  const double t = std::sqrt(-2 * std::log(beyond));
  return t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

}  // namespace sluice::coordinator
