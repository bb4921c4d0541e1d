#include "kvstore/tier_speed.h"

#include <algorithm>
#include <cmath>

namespace sluice::kvstore {
namespace {

constexpr double kNewest = 0.2;   // weight of the last read
constexpr double kHalvesIn = 60;  // seconds
constexpr double kLeastSeconds = 1e-7, kLeastPerByte = 1e-12;
constexpr double kFlat = 1e-3;  // of the bytes' spread over their mean square: below, no line can be told

void lean(double& mean, double to) { mean += kNewest * (to - mean); }

}  // namespace

void TierSpeed::observe(double bytes, double seconds, TimePoint now) {
  if (!any_) {
    mean_bytes_ = bytes, mean_seconds_ = seconds, mean_square_ = bytes * bytes, mean_product_ = bytes * seconds;
  } else {
    lean(mean_bytes_, bytes), lean(mean_seconds_, seconds), lean(mean_square_, bytes * bytes),
        lean(mean_product_, bytes * seconds);
  }
  any_ = true;
  last_ = now;
  const double spread = mean_square_ - mean_bytes_ * mean_bytes_;
  if (spread > kFlat * mean_square_) {
    second_per_byte_ = (mean_product_ - mean_bytes_ * mean_seconds_) / spread;
  } else if (mean_bytes_ > 0) {
    // All reads alike: the latency known so far is believed, as far as they leave room for it.
    latency_ = std::min(latency_, mean_seconds_ / 2);
    second_per_byte_ = (mean_seconds_ - latency_) / mean_bytes_;
  }
  second_per_byte_ = std::max(second_per_byte_, kLeastPerByte);
  latency_ = std::max(mean_seconds_ - second_per_byte_ * mean_bytes_, kLeastSeconds);
}

double TierSpeed::predict(double bytes, TimePoint now) const {
  const double age = any_ ? std::max(0.0, seconds(now - last_)) : 0;
  return (latency_ + bytes * second_per_byte_) * std::exp2(-age / kHalvesIn);
}

}  // namespace sluice::kvstore
