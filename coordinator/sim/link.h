#pragma once
// A link's rate over time, and when a transfer over it ends. Pure.
#include <vector>

namespace sluice::sim {

/// Piecewise constant factor on a link's base rate. Before the first step it is 1.
class Timeline {
 public:
  void step(double at_s, double factor);
  [[nodiscard]] double at(double t_s) const;
  /// When `bytes` sent from `start_s` on are through, at `bps` times the factor.
  [[nodiscard]] double finish(double start_s, double bytes, double bps) const;
  /// Bytes that go through between the two times.
  [[nodiscard]] double bytes(double from_s, double to_s, double bps) const;
  /// When the factor changes.
  [[nodiscard]] std::vector<double> changes() const;
  /// Both factors at once.
  [[nodiscard]] Timeline times(const Timeline& o) const;

 private:
  struct Step {
    double at_s, factor;
  };
  std::vector<Step> steps_;  // by time
};

}  // namespace sluice::sim
