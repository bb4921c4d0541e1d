#include "tools/profiler/pareto.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

using namespace sluice::profiler;

namespace {

std::vector<Point> some_points(std::uint32_t seed, std::size_t n) {
  std::mt19937 gen(seed);
  std::vector<Point> out;
  // Few distinct values, so that ties come up; some at and below the reference.
  const auto value = [&gen] { return static_cast<double>(gen() % 7) - 1; };
  for (std::size_t i = 0; i < n; ++i) {
    const double x = value(), y = value();
    out.push_back({x, y, value()});
  }
  return out;
}

/// Unit cubes between the reference and (5, 5, 5) that lie below some point.
double counted(const std::vector<Point>& all) {
  double n = 0;
  for (int x = 0; x < 6; ++x)
    for (int y = 0; y < 6; ++y)
      for (int z = 0; z < 6; ++z)
        for (const Point& p : all)
          if (p.x >= x + 1 && p.y >= y + 1 && p.z >= z + 1) {
            ++n;
            break;
          }
  return n;
}

}  // namespace

TEST_CASE("hypervolume counts what lies below the points") {
  CHECK(hypervolume({}) == 0);
  for (std::uint32_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    const auto all = some_points(seed, seed % 12);
    CHECK(hypervolume(all) == Approx(counted(all)));
  }
}

TEST_CASE("the front is what nothing dominates, and has the whole hypervolume") {
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    const auto all = some_points(seed, 15);
    std::vector<Point> kept;
    for (const std::size_t i : front(all)) kept.push_back(all[i]);
    for (const Point& a : kept)
      for (const Point& b : kept) CHECK_FALSE(dominates(a, b));
    CHECK(hypervolume(kept) == Approx(hypervolume(all)));
  }
}

TEST_CASE("improvement is the hypervolume that a measurement adds") {
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    auto all = some_points(seed, 8);
    const auto extra = some_points(seed + 100, 2);
    const std::vector<Corner> corners{{extra[0].x, extra[0].y}, {extra[1].x, extra[1].y}};
    const double before = hypervolume(all), z = 2.5;
    const double said = Improvement(all).certain(corners, z);
    for (const Corner& c : corners) all.push_back({c.x, c.y, z});
    CHECK(said == Approx(hypervolume(all) - before).margin(1e-9));
  }
}

TEST_CASE("expected improvement is the mean over the belief, cut to what is known for sure") {
  const auto all = some_points(3, 8);
  const Improvement improvement(all);
  const std::vector<Corner> corners{{4, 3}, {2, 6}};
  const Belief b{.mean = 1.5, .sd = 1, .least = 0.5, .most = 2.5};
  double sum = 0, weight = 0;
  for (double u = -6; u <= 6; u += 0.001) {
    const double density = std::exp(-0.5 * u * u);
    sum += density * improvement.certain(corners, std::clamp(b.mean + u * b.sd, b.least, b.most));
    weight += density;
  }
  CHECK(improvement.expected(corners, b) == Approx(sum / weight).epsilon(1e-3));
  CHECK(improvement.expected(corners, {.mean = 2, .sd = 0, .least = -9, .most = 9}) ==
        Approx(improvement.certain(corners, 2)));
  CHECK(improvement.expected(corners, {.mean = -50, .sd = 1, .least = -HUGE_VAL, .most = 3}) < 1e-12);  // infeasible
}
