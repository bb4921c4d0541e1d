#include "coordinator/ctl/load/arrival.h"

#include <cmath>
#include <numbers>

namespace sluice::ctl::load {

double Arrivals::next() {
  const double now = at_;
  switch (process_) {
    case Process::poisson:
      at_ += -std::log1p(-uniform()) / rate_;
      break;
    case Process::gamma:
      at_ += gamma(shape_) / (rate_ * shape_);
      break;
    case Process::constant:
      at_ += 1 / rate_;
      break;
  }
  return now;
}

double Arrivals::uniform() { return static_cast<double>(random_() >> 11U) * 0x1p-53; }

/// Box and Muller's; the second of the pair is not kept, so that draws do not depend on what was drawn before.
double Arrivals::normal() {
  const double radius = std::sqrt(-2 * std::log1p(-uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

/// Of scale 1, after Marsaglia and Tsang, "A simple method for generating gamma variables" (2000).
double Arrivals::gamma(double shape) {
  if (shape < 1) return gamma(shape + 1) * std::pow(1 - uniform(), 1 / shape);
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal();
    const double v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log1p(-uniform()) < x * x / 2 + d - d * v + d * std::log(v)) return d * v;
  }
}

Process process_of(const std::string& name, double burstiness) {
  if (name == "constant") return Process::constant;
  return name == "gamma" || burstiness != 1 ? Process::gamma : Process::poisson;
}

}  // namespace sluice::ctl::load
