#include "coordinator/ctl/load/arrival.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

using namespace sluice::ctl::load;

namespace {

std::vector<double> times(Process p, double rate, double burstiness, std::uint64_t seed, int n = 20000) {
  Arrivals a(p, rate, burstiness, seed);
  std::vector<double> t;
  for (int i = 0; i < n; ++i) t.push_back(a.next());
  return t;
}

/// Mean and coefficient of variation of the gaps.
std::pair<double, double> gaps(const std::vector<double>& t) {
  double sum = 0, squares = 0;
  const auto n = static_cast<double>(t.size() - 1);
  for (std::size_t i = 1; i < t.size(); ++i) {
    const double g = t[i] - t[i - 1];
    sum += g;
    squares += g * g;
  }
  const double mean = sum / n;
  return {mean, std::sqrt(squares / n - mean * mean) / mean};
}

}  // namespace

TEST_CASE("arrivals are the same for the same seed, and have the rate asked for") {
  const auto a = times(Process::poisson, 20, 1, 7, 4000);
  CHECK(a == times(Process::poisson, 20, 1, 7, 4000));
  CHECK_FALSE(a == times(Process::poisson, 20, 1, 8, 4000));
  CHECK(a.front() == 0);
  CHECK(std::ranges::is_sorted(a));
  CHECK(a.back() / 3999 == Approx(1.0 / 20).epsilon(0.05));
}

TEST_CASE("each process has the rate and the variation of its gaps") {
  const auto [mean, cv] = gaps(times(Process::poisson, 50, 1, 1));
  CHECK(mean == Approx(0.02).epsilon(0.03));
  CHECK(cv == Approx(1).epsilon(0.03));
  for (const double shape : {0.25, 1.0, 4.0}) {  // gamma's coefficient of variation is 1 / sqrt(shape)
    CAPTURE(shape);
    const auto [m, c] = gaps(times(Process::gamma, 50, shape, 2));
    CHECK(m == Approx(0.02).epsilon(0.05));
    CHECK(c == Approx(1 / std::sqrt(shape)).epsilon(0.05));
  }
  const auto even = times(Process::constant, 8, 1, 3, 9);
  CHECK(even.back() == Approx(1));
  CHECK(gaps(even).second == Approx(0).margin(1e-6));
}

TEST_CASE("a burstiness makes a Poisson process gamma's") {
  CHECK(process_of("poisson", 1) == Process::poisson);
  CHECK(process_of("poisson", 0.5) == Process::gamma);
  CHECK(process_of("gamma", 1) == Process::gamma);
  CHECK(process_of("constant", 1) == Process::constant);
}
