#pragma once
// How long a tier takes for a read, learned from reads: latency + bytes / speed, by a straight line through the past
// ones (least squares whose sums are exponentially weighted means, the last ten or so reads counting). Pure logic.
//
// What was learned can be learned anew: a tier that was slow is asked less, so its estimate halves in each minute that
// it was not asked, until it is asked again.
//
// Threading: one thread at a time. No failure.
#include "common/clock.h"

namespace sluice::kvstore {

class TierSpeed {
 public:
  /// What is believed before anything was read.
  TierSpeed(double latency_s, double bytes_per_s) : latency_(latency_s), second_per_byte_(1 / bytes_per_s) {}

  /// A read of so many bytes (0: it was not there) took so long, and ended now.
  void observe(double bytes, double seconds, TimePoint now);
  /// Seconds that a read is thought to take.
  [[nodiscard]] double predict(double bytes, TimePoint now) const;
  [[nodiscard]] double latency_s() const noexcept { return latency_; }
  [[nodiscard]] double bytes_per_s() const noexcept { return 1 / second_per_byte_; }

 private:
  double latency_, second_per_byte_;
  double mean_bytes_ = 0, mean_seconds_ = 0, mean_square_ = 0, mean_product_ = 0;  // of past reads
  TimePoint last_{};
  bool any_ = false;
};

}  // namespace sluice::kvstore
