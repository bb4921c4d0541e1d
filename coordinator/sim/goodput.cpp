#include "coordinator/sim/goodput.h"

#include <algorithm>
#include <cmath>

namespace sluice::sim {
namespace {

Result<double> share_met(const Experiment& e, const nlohmann::json& scenario, const std::string& policy, double load) {
  double met = 0;
  const std::size_t seeds = std::min(e.goodput_seeds, e.seeds.size());
  for (std::size_t i = 0; i < seeds; ++i) {
    const std::uint64_t seed = e.seeds[i];
    SLUICE_ASSIGN(Scenario s, make_scenario(e.base, scenario, seed));
    s.load.rate *= load;
    s.load.requests = static_cast<std::size_t>(std::lround(static_cast<double>(s.load.requests) * load));
    SLUICE_ASSIGN(const auto p, make_policy(policy, {.seed = seed}));
    SLUICE_ASSIGN(const SimResult r, simulate(s.cluster, make_load(s.load), *p));
    met += summarize(r, s.cluster.prefills.size() + s.cluster.decodes.size()).attainment;
  }
  return met / static_cast<double>(seeds);
}

}  // namespace

Result<double> goodput_at(const Experiment& e, const nlohmann::json& scenario, const std::string& policy,
                          double attainment) {
  SLUICE_ASSIGN(const Scenario shape, make_scenario(e.base, scenario, 1));
  const auto enough = [&](double load) -> Result<bool> {
    SLUICE_ASSIGN(const double met, share_met(e, scenario, policy, load));
    return met >= attainment;
  };
  double low = kLeastLoad;
  double high = kMostLoad;
  SLUICE_ASSIGN(const bool least, enough(low));
  if (!least) return 0;
  SLUICE_ASSIGN(const bool most, enough(high));
  if (most) return high * shape.load.rate;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = std::sqrt(low * high);
    SLUICE_ASSIGN(const bool ok, enough(middle));
    (ok ? low : high) = middle;
  }
  return low * shape.load.rate;
}

}  // namespace sluice::sim
