#include "coordinator/tenants/token_bucket.h"

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {
namespace {

constexpr double kMinute = 60;
// Filling adds small shares, whose sum may fall short of the whole by less than this.
constexpr double kRounding = 1e-6;

}  // namespace

TokenBucket::TokenBucket(std::uint64_t per_minute, TimePoint now)
    : per_minute_(per_minute), level_(static_cast<double>(per_minute)), at_(now) {}

void TokenBucket::fill(TimePoint now) {
  const auto most = static_cast<double>(per_minute_);
  level_ = std::min(most, level_ + most / kMinute * seconds(now - at_));
  at_ = now;
}

void TokenBucket::set_rate(std::uint64_t per_minute, TimePoint now) {
  fill(now);
  per_minute_ = per_minute;
  level_ = std::min(level_, static_cast<double>(per_minute));
}

bool TokenBucket::take(std::uint64_t n, TimePoint now) {
  fill(now);
  if (static_cast<double>(n) > level_ + kRounding) return false;
  level_ -= static_cast<double>(n);
  return true;
}

void TokenBucket::give_back(std::uint64_t n, TimePoint now) {
  fill(now);
  level_ = std::min(level_ + static_cast<double>(n), static_cast<double>(per_minute_));
}

void TokenBucket::owe(std::uint64_t n, TimePoint now) {
  fill(now);
  level_ -= static_cast<double>(n);
}

std::uint64_t TokenBucket::left(TimePoint now) {
  fill(now);
  return static_cast<std::uint64_t>(std::max(0.0, std::floor(level_ + kRounding)));
}

Duration TokenBucket::until(std::uint64_t n, TimePoint now) {
  fill(now);
  const double missing = static_cast<double>(n) - level_;
  if (missing <= kRounding) return Duration::zero();
  return from_seconds(missing * kMinute / static_cast<double>(per_minute_));
}

}  // namespace sluice::coordinator
