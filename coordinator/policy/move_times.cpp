#include "coordinator/policy/move_times.h"

#include <algorithm>
#include <cmath>

#include "coordinator/policy/latency_model.h"

namespace sluice::coordinator {
namespace {

constexpr EstimateTuning kSpeed{.prior_var = 1.0F, .memory_s = 600.0F};
constexpr double kNoise = 0.04;

}  // namespace

double MoveTimes::copy_s(const Pair& p, double wire_bytes, double told_bps, TimePoint now) {
  Estimate& e = speeds_[p];
  e.report(told_bps > 0 ? told_bps : kDefaultLinkBps, kSpeed);
  e.age(now, kSpeed);
  return wire_bytes / static_cast<double>(e.value());
}

void MoveTimes::observe(const Pair& p, const CopyMeasured& m, TimePoint now) {
  if (m.wire_bytes <= 0 || m.wall_s <= 0) return;
  Estimate& e = speeds_[p];
  const double bps = m.wire_bytes / m.wall_s;
  // A copy that was done when its source halted waited for that: it says only how fast the pair is at least.
  const bool waited = m.exposed_s < 2 * m.step_s;
  if (waited && e.known() && bps < static_cast<double>(e.value())) return;
  e.observe(bps, kNoise, now, kSpeed);
}

void MoveTimes::forget(const NodeId& node) {
  std::erase_if(speeds_, [&](const auto& s) { return s.first.first == node || s.first.second == node; });
}

std::uint32_t MoveTimes::stop(const StopAsk& a) const {
  const double step = a.step_s > 0 ? a.step_s : kDefaultStepS;
  double tokens = std::ceil(kMargin * (setup_s_ + a.copy_s) / step) + kSlackTokens;
  if (a.again) tokens = 2 * tokens + kSlackTokens;
  const double at = a.positions + tokens;
  return at <= a.last ? static_cast<std::uint32_t>(at) : 0;
}

}  // namespace sluice::coordinator
