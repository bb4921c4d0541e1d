#pragma once
// How long somebody who has work has not moved. Pure: told now and then what is seen, and when. Whoever has nothing to
// do does not stand still, however long; nor does time count in which nobody looked (a process that was stopped, or a
// machine asleep). Threading: one thread at a time.
#include <algorithm>
#include <cstdint>
#include <optional>

#include "common/clock.h"

namespace sluice {

class StallWatch {
 public:
  /// Of the time between two looks, no more than this counts.
  static constexpr Duration kLongestLook = std::chrono::seconds(2);

  /// `turns`: a count that moves with each step of the work; `work`: there is some.
  void see(std::uint64_t turns, bool work, TimePoint now) {
    const bool moved = !last_ || turns != turns_ || !work;
    still_ = moved ? Duration::zero() : still_ + std::min(now - *last_, kLongestLook);
    turns_ = turns;
    last_ = now;
  }
  [[nodiscard]] Duration still() const noexcept { return still_; }

 private:
  std::uint64_t turns_ = 0;
  std::optional<TimePoint> last_;
  Duration still_{};
};

}  // namespace sluice
