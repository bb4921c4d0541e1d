#pragma once
// How far a long command is, on stderr: one line that is rewritten on a terminal, a line every few seconds elsewhere.
// Threading: one thread.
#include <chrono>
#include <string>

namespace sluice::profiler {

class ProgressBar {
 public:
  using Clock = std::chrono::steady_clock;
  explicit ProgressBar(std::string what);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// spent: how many of `done` were really measured, not remembered; the estimate rests on them alone.
  void show(std::size_t done, std::size_t of, std::size_t spent, const std::string& note = {});

 private:
  std::string what_;
  bool terminal_, open_ = false;
  Clock::time_point start_, last_{};
};

/// "#####.....  50% 6/12, 1 min 05 s left"; seconds < 0: no estimate yet.
[[nodiscard]] std::string progress_text(std::size_t done, std::size_t of, double seconds_left);

}  // namespace sluice::profiler
