#pragma once
// When a node will be through with what it was given, that computes one piece after another: our account of it,
// corrected whenever a piece says when it was done. Pure, time given.
#include <algorithm>
#include <cstdint>

#include "common/clock.h"

namespace sluice::coordinator {

class WorkAccount {
 public:
  /// A piece's expected end, and the corrections made by then.
  struct Place {
    TimePoint end{};
    double shift = 0;
  };

  /// A piece of s seconds that can begin at `from` at the earliest.
  [[nodiscard]] Place place(TimePoint from, double s) {
    busy_until_ = std::max(busy_until_, from) + from_seconds(s);
    ++outstanding_;
    return {busy_until_, shift_};
  }
  void done(const Place& p, TimePoint end) {
    const double late = seconds(end - p.end) - (shift_ - p.shift);
    shift_ += late;
    leave(late);
  }
  void drop(double s) {
    shift_ -= s;
    leave(-s);
  }
  void clear() {
    busy_until_ = {};
    outstanding_ = 0;
  }
  [[nodiscard]] bool idle() const noexcept { return outstanding_ == 0; }
  [[nodiscard]] TimePoint until() const noexcept { return busy_until_; }
  [[nodiscard]] double wait_s(TimePoint now) const { return std::max(0.0, seconds(busy_until_ - now)); }

 private:
  void leave(double change_s) {
    if (outstanding_ > 0) --outstanding_;
    busy_until_ = outstanding_ == 0 ? TimePoint{} : busy_until_ + from_seconds(change_s);
  }

  TimePoint busy_until_{};
  double shift_ = 0;  // summed corrections of busy_until_
  std::uint32_t outstanding_ = 0;
};

}  // namespace sluice::coordinator
