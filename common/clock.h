#pragma once
// Time as a dependency: policies take a Clock so that tests and the simulator own time.
#include <chrono>

namespace sluice {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const noexcept = 0;
};

/// The process's monotonic clock. Thread-safe.
class SteadyClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override { return std::chrono::steady_clock::now(); }
};

[[nodiscard]] inline double seconds(Duration d) noexcept { return std::chrono::duration<double>(d).count(); }
[[nodiscard]] inline double millis(Duration d) noexcept { return std::chrono::duration<double, std::milli>(d).count(); }
[[nodiscard]] inline Duration from_seconds(double s) noexcept {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s));
}

}  // namespace sluice
