#include "coordinator/policy/output_lengths.h"

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {
namespace {

constexpr double kPriorWeight = 4;  // outputs that the prior counts for

}  // namespace

double OutputLengths::position(double tokens) {
  return std::min(kPerOctave * std::log2(std::max(tokens, 0.0) + 1), static_cast<double>(kBuckets - 1));
}

void OutputLengths::observe(double tokens, bool by_itself) {
  const double keep = 1 - 1 / kMemory;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    ended_[i] *= keep;
    left_[i] *= keep;
  }
  weight_ = weight_ * keep + 1;
  const auto at = static_cast<std::size_t>(position(tokens));
  left_[at] += 1;
  if (by_itself) ended_[at] += 1;
  rebuild();
}

void OutputLengths::rebuild() {
  double at_risk = weight_ + borrowed_weight_;
  survival_[0] = 1;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const double hazard = at_risk > 1e-9 ? std::min((ended_[i] + borrowed_ended_[i]) / at_risk, 1.0) : 0;
    survival_[i + 1] = survival_[i] * (1 - hazard);
    at_risk -= left_[i] + borrowed_left_[i];
  }
}

double OutputLengths::seen(double tokens) const {
  const double at = position(tokens);
  const auto i = static_cast<std::size_t>(at);
  return survival_[i] + (at - static_cast<double>(i)) * (survival_[i + 1] - survival_[i]);
}

double OutputLengths::survival(double tokens, double limit) const {
  if (tokens >= limit) return 0;
  const double prior = 1 - std::max(tokens, 0.0) / limit;
  return (weight() * seen(tokens) + kPriorWeight * prior) / (weight() + kPriorWeight);
}

double OutputLengths::survival(double tokens, double emitted, double limit) const {
  if (tokens <= emitted) return 1;
  const double now = survival(emitted, limit);
  return now > 0 ? std::min(survival(tokens, limit) / now, 1.0) : 0;
}

double OutputLengths::mean(double limit) const {
  constexpr int kSteps = 32;
  double sum = 0;
  for (int i = 0; i < kSteps; ++i) sum += survival((i + 0.5) / kSteps * limit, limit);
  return limit * sum / kSteps;
}

}  // namespace sluice::coordinator
