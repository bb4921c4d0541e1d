#include "coordinator/sim/link.h"

#include <algorithm>

namespace sluice::sim {

void Timeline::step(double at_s, double factor) {
  const auto where = std::ranges::upper_bound(steps_, at_s, {}, &Step::at_s);
  steps_.insert(where, {at_s, std::max(factor, 1e-6)});  // a link that stands still for ever would end no run
}

std::vector<double> Timeline::changes() const {
  std::vector<double> out;
  for (const Step& s : steps_) out.push_back(s.at_s);
  return out;
}

double Timeline::at(double t_s) const {
  const auto next = std::ranges::upper_bound(steps_, t_s, {}, &Step::at_s);
  return next == steps_.begin() ? 1.0 : std::prev(next)->factor;
}

double Timeline::finish(double start_s, double bytes, double bps) const {
  double t = start_s;
  auto next = std::ranges::upper_bound(steps_, t, {}, &Step::at_s);
  double factor = next == steps_.begin() ? 1.0 : std::prev(next)->factor;
  for (; next != steps_.end(); ++next) {
    const double until = (next->at_s - t) * factor * bps;
    if (until >= bytes) break;
    bytes -= until;
    t = next->at_s;
    factor = next->factor;
  }
  return t + bytes / (factor * bps);
}

double Timeline::bytes(double from_s, double to_s, double bps) const {
  double sum = 0;
  double t = from_s;
  auto next = std::ranges::upper_bound(steps_, t, {}, &Step::at_s);
  double factor = next == steps_.begin() ? 1.0 : std::prev(next)->factor;
  for (; next != steps_.end() && next->at_s < to_s; ++next) {
    sum += (next->at_s - t) * factor * bps;
    t = next->at_s;
    factor = next->factor;
  }
  return sum + (to_s - t) * factor * bps;
}

Timeline Timeline::times(const Timeline& o) const {
  Timeline out;
  for (const Step& s : steps_) out.step(s.at_s, s.factor * o.at(s.at_s));
  for (const Step& s : o.steps_) out.step(s.at_s, s.factor * at(s.at_s));
  return out;
}

}  // namespace sluice::sim
