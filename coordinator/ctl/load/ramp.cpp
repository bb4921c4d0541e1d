#include "coordinator/ctl/load/ramp.h"

#include <cmath>

namespace sluice::ctl::load {

std::optional<Knee> knee_of(const std::vector<Step>& steps, double share) {
  std::optional<Knee> knee;
  double before = 0;
  for (const Step& s : steps) {
    const auto met = s.summary.attainment();
    if (!met) return std::nullopt;
    if (*met < share) {
      if (knee) knee->crossing = std::lerp(knee->rate, s.rate, (before - share) / (before - *met));
      if (knee) knee->all_kept = false;
      return knee;
    }
    knee = Knee{.rate = s.rate, .goodput = s.summary.request_goodput().value_or(0), .all_kept = true};
    before = *met;
  }
  return knee;
}

}  // namespace sluice::ctl::load
