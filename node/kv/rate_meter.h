#pragma once
// A rate (units per second) from pieces of very different sizes: decayed sums of units and of busy time, so that a
// small piece, which fixed costs rule, counts only as much as it is long. Pure; the owner serialises calls.

namespace sluice::node {

class RateMeter {
 public:
  /// prior_rate counts as if prior_units had been measured at it; 0 = nothing known.
  explicit RateMeter(double prior_rate = 0, double prior_units = 0)
      : units_(prior_rate > 0 ? prior_units : 0), seconds_(prior_rate > 0 ? prior_units / prior_rate : 0) {}

  void add(double units, double seconds) noexcept {
    if (!(units > 0) || !(seconds > 0)) return;
    units_ = units_ * kKeep + units;
    seconds_ = seconds_ * kKeep + seconds;
  }
  [[nodiscard]] double rate() const noexcept { return seconds_ > 0 ? units_ / seconds_ : 0; }
  /// Decayed units behind the rate: how much there is to trust.
  [[nodiscard]] double weight() const noexcept { return units_; }

 private:
  static constexpr double kKeep = 0.9;
  double units_, seconds_;
};

}  // namespace sluice::node
