#include "coordinator/policy/estimate.h"

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {

float Estimate::sd() const noexcept { return std::sqrt(var_); }

void Estimate::move(float innovation, float noise_var) {
  const float gain = var_ / (var_ + noise_var);
  mean_ += gain * innovation;
  var_ *= 1 - gain;
  value_ = std::exp(mean_);
}

void Estimate::take_report(float v, const EstimateTuning& t) {
  if (!(v > 0) || !std::isfinite(v)) return;
  const float before = reported_;
  reported_ = v;
  const float log_v = std::log(v);
  if (count_ == 0) {
    mean_ = log_v;
    value_ = v;
    var_ = t.prior_var;
    return;
  }
  if (before > 0 && std::abs(log_v - std::log(before)) > kReportStep) var_ = std::max(var_, t.prior_var);
  move(log_v - mean_, t.report_var);
}

bool Estimate::observe(double value, double noise_var, TimePoint now, const EstimateTuning& t) {
  if (!(value > 0) || !std::isfinite(value)) return false;
  const auto log_v = static_cast<float>(std::log(value));
  if (!known()) {
    mean_ = log_v;
    var_ = t.prior_var;
  }
  age(now, t);
  auto noise = static_cast<float>(noise_var);
  if (count_ == 0) noise *= kColdNoise;
  ++count_;
  const float spread = std::sqrt(var_ + noise);
  const float z = std::clamp((log_v - mean_) / spread, -kClip, kClip);
  up_ = std::max(0.0F, up_ + z - kSlack);
  down_ = std::max(0.0F, down_ - z - kSlack);
  const bool changed = std::max(up_, down_) > kThreshold;
  if (changed) {
    var_ = std::max(var_, t.change_var);
    up_ = down_ = 0;
    move(log_v - mean_, noise);
  } else {
    move(z * spread, noise);
  }
  return changed;
}

void Estimate::grow_old(TimePoint now, const EstimateTuning& t) {
  const auto gone = static_cast<float>(seconds(now - aged_));
  const bool first = aged_ == TimePoint{};
  aged_ = now;
  if (first || count_ == 0) return;
  if (var_ < t.prior_var) var_ = std::min(t.prior_var, var_ + t.drift_per_s * gone);
  if (reported_ > 0) {
    mean_ += (std::log(reported_) - mean_) * (1 - std::exp(-gone / t.memory_s));
    value_ = std::exp(mean_);
  }
}

void Estimate::loosen(const EstimateTuning& t) { var_ = std::max(var_, t.prior_var); }

void Estimate::restore(double value, double var, std::uint32_t count, TimePoint now) {
  if (!(value > 0) || !std::isfinite(value) || !(var >= 0)) return;
  value_ = static_cast<float>(value);
  mean_ = std::log(value_);
  var_ = static_cast<float>(var);
  count_ = count;
  aged_ = now;
}

double EventRates::growth(TimePoint now) {
  if (epoch_ == TimePoint{}) epoch_ = now;
  if (now == asked_) return growth_;
  asked_ = now;
  growth_ = std::exp(seconds(now - epoch_) / kWindowS);
  return growth_;
}

std::optional<double> EventRates::restart(TimePoint now) {
  const double g = growth(now);
  if (g < 1e100) return std::nullopt;
  epoch_ = now;
  growth_ = 1;
  return 1 / g;
}

}  // namespace sluice::coordinator
