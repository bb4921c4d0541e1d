#include "node/kv/profile_rates.h"

namespace sluice::node {
namespace {

/// Less than this says more about fixed costs than about a codec's speed.
constexpr double kMinMeasuredBytes = 1U << 20;

}  // namespace

void ProfileRates::add(const std::string& profile, std::uint64_t raw_bytes, std::uint64_t wire_bytes, double busy_s) {
  const auto raw = static_cast<double>(raw_bytes);
  const std::lock_guard lock(mutex_);
  Meters& m = meters_[profile];
  m.speed.add(raw, busy_s);
  m.ratio.add(raw, static_cast<double>(wire_bytes));
}

std::unordered_map<std::string, ProfileRate> ProfileRates::get() const {
  std::unordered_map<std::string, ProfileRate> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [profile, m] : meters_)
    if (m.speed.weight() >= kMinMeasuredBytes) out[profile] = {m.speed.rate(), m.ratio.rate()};
  return out;
}

}  // namespace sluice::node
