#pragma once
// A positive quantity learned from noisy samples: a speed, a bandwidth, a fixed time. Its log is Gaussian.
//
// It starts at what was reported (a profile's table, a probe) and moves with each sample by how sure both are. A sample
// counts for no more than kClip standard deviations, so one cold start cannot carry an estimate away; deviations in one
// direction that add up are a change, and a change forgets: the next samples then count nearly alone. Unobserved, an
// estimate loses certainty and goes back to its reported figure. Pure; time is given; not thread-safe.
#include <optional>

#include "common/clock.h"

namespace sluice::coordinator {

struct EstimateTuning {
  float prior_var = 0.09F;     // of the log, while only reported
  float report_var = 0.04F;    // of a report that comes after samples
  float change_var = 1.0F;     // after a change was seen
  float drift_per_s = 0.001F;  // what the variance gains per second unobserved, up to prior_var
  float memory_s = 60.0F;      // time constant of the way back to the reported figure
};

class Estimate {
 public:
  static constexpr float kClip = 3.0F;
  static constexpr float kColdNoise = 9.0F;  // the first sample's variance is so many times larger
  static constexpr float kSlack = 0.75F;     // deviations below this (in standard deviations) are noise
  static constexpr float kThreshold = 4.0F;  // summed deviations beyond the slack that make a change
  static constexpr Duration kAgeStep = std::chrono::milliseconds(50);
  static constexpr float kReportStep = 0.2F;  // a report that moves by more in log is news, not noise

  /// What a node or table states now; <= 0 says nothing. Repeating a figure changes nothing.
  void report(double value, const EstimateTuning& t) {
    if (const auto v = static_cast<float>(value); v != reported_) take_report(v, t);
  }
  /// One sample with this variance of its log. True when it completed a change.
  bool observe(double value, double noise_var, TimePoint now, const EstimateTuning& t);
  /// Brings variance and mean up to date; call before use when samples may be rare.
  void age(TimePoint now, const EstimateTuning& t) {
    if (now - aged_ >= kAgeStep) grow_old(now, t);  // often asked, seldom worth an exponential
  }
  void restore(double value, double var, std::uint32_t count, TimePoint now);
  /// Forgets: certainty is as before the first sample.
  void loosen(const EstimateTuning& t);

  [[nodiscard]] bool known() const noexcept { return value_ > 0; }
  [[nodiscard]] float value() const noexcept { return value_; }
  [[nodiscard]] float log_value() const noexcept { return mean_; }
  [[nodiscard]] float var() const noexcept { return var_; }
  [[nodiscard]] float sd() const noexcept;
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }

 private:
  void move(float innovation, float noise_var);
  void take_report(float v, const EstimateTuning& t);
  void grow_old(TimePoint now, const EstimateTuning& t);

  float mean_ = 0, var_ = 0, value_ = 0;
  float reported_ = 0;
  float up_ = 0, down_ = 0;  // CUSUM of standardised deviations
  std::uint32_t count_ = 0;
  TimePoint aged_{};
};

/// Events per second of the last kWindowS or so, for many counters that are read together: instead of each counter
/// decaying, what a new event adds grows, and a reading divides by that. Pure; time is given.
class EventRates {
 public:
  static constexpr double kWindowS = 20;
  /// A counter starts at 0; everything it holds is in this class's units.
  void count(double& counter, TimePoint now) { counter += growth(now) / kWindowS; }
  [[nodiscard]] double rate(double counter, TimePoint now) { return counter / growth(now); }
  /// Whether counters are due to be multiplied by what it returns, lest they overflow; then starts anew.
  [[nodiscard]] std::optional<double> restart(TimePoint now);

 private:
  [[nodiscard]] double growth(TimePoint now);

  TimePoint epoch_{}, asked_{};
  double growth_ = 1;
};

}  // namespace sluice::coordinator
