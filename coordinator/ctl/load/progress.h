#pragma once
// How far a load test is, on standard error: one line that is written over on a terminal, a line now and then where
// --progress asks for it, nothing else.
// Threading: the runner's thread.
#include <cstddef>
#include <cstdint>
#include <string>

namespace sluice::ctl::load {

struct RunState {
  std::size_t total = 0;
  std::size_t done = 0;
  std::size_t errors = 0;
  std::size_t in_flight = 0;
  std::uint64_t events = 0;  // of all streams
  double seconds = 0;
};

class Progress {
 public:
  enum class Style { none, live, lines };
  /// label: what runs, e.g. "rate 4/s".
  Progress(Style style, std::string label) : style_(style), label_(std::move(label)) {}
  void tick(const RunState& s);
  void one_done(const RunState& s) const;
  void ended(const RunState& s);

 private:
  Style style_;
  std::string label_;
  std::size_t shown_ = 0;  // columns on the terminal
  RunState before_;        // at the last tick
};

[[nodiscard]] Progress::Style progress_style(bool progress, bool quiet);
[[nodiscard]] std::string progress_text(const std::string& label, const RunState& s, const RunState& before);

}  // namespace sluice::ctl::load
