#pragma once
// Makes a connection as slow as a link of a given rate, for tests and demonstrations on one machine: a token bucket for
// what leaves. The head of the queue waits for its own time on the wire and for that of all before it, so whoever times
// a transfer or a probe measures such a link.
//
// Pure logic with time given; the owner serialises calls.
#include <algorithm>
#include <cstddef>
#include <optional>

#include "common/clock.h"

namespace sluice::kv {

class LinkPace {
 public:
  /// Wire time that is saved up while nothing is sent: makes up for a sender that was woken late.
  static constexpr Duration kBurst = std::chrono::milliseconds(2);

  explicit LinkPace(double bytes_per_s) : bytes_per_s_(bytes_per_s) {}

  /// Whether the head, of so many bytes, may leave now; true means that it does. The same head is asked for again until
  /// then.
  [[nodiscard]] bool pass(std::size_t bytes, TimePoint now) {
    if (!due_) due_ = std::max(free_, now - kBurst) + from_seconds(static_cast<double>(bytes) / bytes_per_s_);
    if (now < *due_) return false;
    free_ = *due_;
    due_.reset();
    return true;
  }
  /// When a head that was held back may leave; nothing while none is.
  [[nodiscard]] std::optional<TimePoint> due() const noexcept { return due_; }

 private:
  const double bytes_per_s_;
  TimePoint free_{};  // the link has carried all that left
  std::optional<TimePoint> due_;
};

}  // namespace sluice::kv
