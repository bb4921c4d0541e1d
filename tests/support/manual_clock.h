#pragma once
#include "common/clock.h"

namespace sluice::test {

/// A clock that moves only when told to. Not thread-safe.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override { return now_; }
  void advance(Duration d) noexcept { now_ += d; }

 private:
  TimePoint now_{std::chrono::seconds(1000)};
};

}  // namespace sluice::test
