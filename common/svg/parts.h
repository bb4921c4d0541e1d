#pragma once
// What the drawings of this room share: text as XML holds it, and an axis. Pure.
#include <cmath>
#include <string>
#include <vector>

namespace sluice::svg {

/// Text as XML holds it: names come from files and flags.
[[nodiscard]] std::string escaped(const std::string& text);

/// One axis: values to positions.
struct Axis {
  bool log = false;
  double from = INFINITY, to = -INFINITY;  // on the axis' scale
  [[nodiscard]] bool takes(double v) const { return std::isfinite(v) && (!log || v > 0); }
  [[nodiscard]] double scaled(double v) const { return log ? std::log10(v) : v; }
  void grow(double v) {
    from = std::fmin(from, scaled(v));
    to = std::fmax(to, scaled(v));
  }
  void close() {
    if (!std::isfinite(from)) from = 0;
    if (!(to > from)) to = from + 1;
  }
  [[nodiscard]] double share(double v) const { return (scaled(v) - from) / (to - from); }
  [[nodiscard]] double value(double s) const {
    const double v = from + (to - from) * s;
    return log ? std::pow(10, v) : v;
  }
  /// Round values (1, 2 or 5 times a power of ten) within the axis, about `wanted` of them.
  [[nodiscard]] std::vector<double> round_ticks(int wanted) const;
};

}  // namespace sluice::svg
