#include "coordinator/ctl/load/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace sluice::ctl::load {

Progress::Style progress_style(bool progress, bool quiet) {
  if (quiet) return Progress::Style::none;
  if (isatty(STDERR_FILENO) != 0) return Progress::Style::live;
  return progress ? Progress::Style::lines : Progress::Style::none;
}

std::string progress_text(const std::string& label, const RunState& s, const RunState& before) {
  const double apart = s.seconds - before.seconds;
  const double pieces = apart > 0 ? static_cast<double>(s.events - before.events) / apart : 0;
  return fmt::format("{}: {} / {} done, {} errors, {} running, {:.0f} pieces/s, {:.0f} s", label, s.done, s.total,
                     s.errors, s.in_flight, pieces, s.seconds);
}

void Progress::tick(const RunState& s) {
  if (style_ != Style::live) return;
  const std::string text = progress_text(label_, s, before_);
  before_ = s;
  std::fputs(fmt::format("\r{:<{}}", text, shown_).c_str(), stderr);
  std::fflush(stderr);
  shown_ = std::max(shown_, text.size());
}

void Progress::one_done(const RunState& s) const {
  if (style_ == Style::lines && (s.done % 10 == 0 || s.done == s.total))
    std::fputs(fmt::format("{} / {}\n", s.done, s.total).c_str(), stderr);
}

void Progress::ended(const RunState& s) {
  if (style_ != Style::live) return;
  tick(s);
  std::fputc('\n', stderr);
}

}  // namespace sluice::ctl::load
