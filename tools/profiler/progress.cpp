#include "tools/profiler/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace sluice::profiler {

std::string progress_text(std::size_t done, std::size_t of, double seconds_left) {
  constexpr std::size_t kWidth = 24;
  const std::size_t full = of > 0 ? std::min(done * kWidth / of, kWidth) : kWidth;
  std::string out =
      fmt::format("{:#<{}}{:.<{}} {:3}% {}/{}", "", full, "", kWidth - full, of > 0 ? done * 100 / of : 100, done, of);
  if (done >= of || seconds_left < 0) return out;
  const auto s = static_cast<long>(seconds_left + 0.5);
  return out + (s >= 60 ? fmt::format(", {} min {:02} s left", s / 60, s % 60) : fmt::format(", {} s left", s));
}

ProgressBar::ProgressBar(std::string what)
    : what_(std::move(what)), terminal_(::isatty(STDERR_FILENO) == 1), start_(Clock::now()) {}

ProgressBar::~ProgressBar() {
  if (open_) std::fputs("\n", stderr);
}

void ProgressBar::show(std::size_t done, std::size_t of, std::size_t spent, const std::string& note) {
  const auto now = Clock::now();
  const bool last = done >= of;
  if (!last && now - last_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(5000))) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double left =
      spent > 0 ? seconds / static_cast<double>(spent) * static_cast<double>(of - std::min(done, of)) : -1;
  const std::string text =
      fmt::format("{}: {}{}{}", what_, progress_text(done, of, left), note.empty() ? "" : "; ", note);
  // \033[K: what a longer line before left standing goes.
  fmt::print(stderr, "{}{}{}", terminal_ ? "\r" : "", text, terminal_ ? "\033[K" : "\n");
  std::fflush(stderr);
  open_ = terminal_;
}

}  // namespace sluice::profiler
