#pragma once
// Fronts and hypervolumes of three objectives, each larger the better and counted from a reference at 0. Pure.
#include <cstddef>
#include <span>
#include <vector>

namespace sluice::profiler {

/// What a candidate is worth but for its quality.
struct Corner {
  double x = 0, y = 0;
};
struct Point {
  double x = 0, y = 0, z = 0;
};

/// a is nowhere worse than b and somewhere better.
[[nodiscard]] bool dominates(const Point& a, const Point& b) noexcept;
/// Indices of the points that none dominates, ascending; of equal points the first.
[[nodiscard]] std::vector<std::size_t> front(std::span<const Point> all);
/// Volume that lies below some point and above 0 in every objective.
[[nodiscard]] double hypervolume(std::span<const Point> all);

/// The union of rectangles from (0, 0) to some corners.
class Staircase {
 public:
  void add(Corner c);
  [[nodiscard]] double area() const noexcept { return area_; }
  /// Area that `corners` would add.
  [[nodiscard]] double gain(std::span<const Corner> corners) const;

 private:
  std::vector<Corner> steps_;  // ascending x, descending y
  double area_ = 0;
};

/// z as it is believed before it is measured: a normal, cut to what is known of it for sure.
struct Belief {
  double mean = 0, sd = 0;
  double least = 0, most = 0;
};

/// What measuring a point would add to a front's hypervolume.
class Improvement {
 public:
  explicit Improvement(std::span<const Point> known);
  /// If z is just that.
  [[nodiscard]] double certain(std::span<const Corner> corners, double z) const;
  /// Expectation over the belief. As z counts from the reference (the quality budget), what misses the budget improves
  /// nothing: this is the expected improvement of a feasible candidate times the probability that it is feasible.
  [[nodiscard]] double expected(std::span<const Corner> corners, const Belief& b) const;

 private:
  template <class Weight>
  double sum(std::span<const Corner> corners, Weight&& between) const;
  std::vector<double> levels_;     // distinct z of the known points, descending
  std::vector<Staircase> stairs_;  // of the points at or above each level
};

}  // namespace sluice::profiler
