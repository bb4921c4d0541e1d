#pragma once
// Goodput as serving systems are compared by it: the highest rate at which a share of all requests still meets both
// objectives (DistServe, OSDI 2024). Beside the share met at one fixed rate, it tells how much more load a policy
// carries. Deterministic.
#include "coordinator/sim/experiment.h"

namespace sluice::sim {

/// Rates that are tried, as factors of the scenario's own, and halvings of the range between them in log.
inline constexpr double kLeastLoad = 0.125, kMostLoad = 3;
inline constexpr int kHalvings = 8;

/// Requests per second, found by bisection to 1.3%, at which the policy's share of requests that met both objectives,
/// mean over e.goodput_seeds seeds, is at least `attainment`. The scenario lasts as long at every rate, so that what
/// happens in it happens to the same share of the load. 0: not even at the least load.
[[nodiscard]] Result<double> goodput_at(const Experiment& e, const nlohmann::json& scenario, const std::string& policy,
                                        double attainment);

}  // namespace sluice::sim
