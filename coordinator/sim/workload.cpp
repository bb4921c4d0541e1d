#include "coordinator/sim/workload.h"

#include <algorithm>
#include <cmath>

#include "coordinator/policy/fast_random.h"

namespace sluice::sim {
namespace {

using coordinator::FastRandom;

double exponential(FastRandom& r) { return -std::log1p(-r.uniform()); }

/// Gamma of unit scale (Marsaglia and Tsang, 2000).
double gamma(FastRandom& r, double shape) {
  if (shape < 1) return gamma(r, shape + 1) * std::pow(1 - r.uniform(), 1 / shape);
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = r.normal();
    const double v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log(1 - r.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

std::uint32_t length(FastRandom& r, double mean, double spread, std::uint32_t most) {
  // A log-normal with this mean.
  const double x = mean * std::exp(spread * r.normal() - 0.5 * spread * spread);
  return static_cast<std::uint32_t>(std::clamp(x, 2.0, static_cast<double>(most)));
}

}  // namespace

Load make_load(const LoadSpec& s) {
  FastRandom random(s.seed);
  Load load;
  load.reserve(s.requests);
  double at = 0;
  const double shape = s.burstiness > 1 ? 1 / (s.burstiness * s.burstiness) : 1;
  const auto add = [&](double prompt_mean, double output_mean, double rate) {
    load.push_back({at, length(random, prompt_mean, s.prompt_spread, s.max_tokens),
                    length(random, output_mean, s.output_spread, s.max_tokens)});
    const double gap = shape < 1 ? gamma(random, shape) / shape : exponential(random);
    at += gap / rate;
  };
  for (std::size_t i = 0; i < s.requests; ++i) {
    const bool shifted = static_cast<double>(i) >= s.shift_at * static_cast<double>(s.requests);
    add(s.prompt_mean * (shifted ? s.shift_factor : 1), s.output_mean, s.rate);
  }
  for (const LoadPhase& p : s.phases)
    for (std::size_t i = 0; i < p.requests; ++i) add(p.prompt_mean, p.output_mean, p.rate);
  hide_lengths(load, s);
  return load;
}

void hide_lengths(Load& load, const LoadSpec& s) {
  if (!s.hidden_lengths) return;
  for (SimRequest& q : load) q.max_tokens = s.stated;
}

}  // namespace sluice::sim
