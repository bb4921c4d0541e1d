#pragma once
// Internal to the HTTP server: holds something back to a number of bytes a second, over all who share it.
#include <algorithm>

#include "common/clock.h"

namespace sluice::coordinator {

/// Pure. What was not used is kept for `burst`.
class Pace {
 public:
  Pace(double bytes_per_second, Duration burst) : rate_(bytes_per_second), burst_(burst) {}
  /// So many bytes were dealt with: when to go on with the next ones.
  TimePoint charge(std::size_t bytes, TimePoint now) {
    paid_until_ = std::max(paid_until_, now - burst_) + from_seconds(static_cast<double>(bytes) / rate_);
    return paid_until_;
  }

 private:
  double rate_;
  Duration burst_;
  TimePoint paid_until_{};
};

}  // namespace sluice::coordinator
