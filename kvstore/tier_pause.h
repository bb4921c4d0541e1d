#pragma once
// A tier that fails is left alone for a time that doubles each time, up to 30 s, and is tried again after it. One late
// answer may be the caller's short deadline; two in a row are the tier's. Pure logic. Threading: one thread at a time.
#include <algorithm>
#include <chrono>

#include "common/clock.h"
#include "common/errc.h"

namespace sluice::kvstore {

class TierPause {
 public:
  explicit TierPause(Duration first) : first_(first), next_(first) {}
  /// May it be asked now?
  [[nodiscard]] bool open(TimePoint now) const noexcept { return now >= until_; }
  void worked() noexcept {
    next_ = first_;
    late_ = 0;
    until_ = {};
  }
  void failed(Errc code, TimePoint now) noexcept {
    if (code == Errc::deadline_exceeded && ++late_ < 2) return;
    until_ = now + next_;
    next_ = std::max(next_, std::min<Duration>(2 * next_, kMost));
  }
  /// Is it the tier that is ill, or is all well and the object just not there, or too large?
  [[nodiscard]] static bool is_failure(Errc code) noexcept {
    switch (code) {
      case Errc::unavailable:
      case Errc::deadline_exceeded:
      case Errc::permission_denied:
      case Errc::unsupported:
      case Errc::internal:
        return true;
      default:
        return false;
    }
  }

 private:
  static constexpr Duration kMost = std::chrono::seconds(30);
  Duration first_, next_;
  int late_ = 0;
  TimePoint until_{};
};

}  // namespace sluice::kvstore
