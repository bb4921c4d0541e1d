#include "coordinator/ctl/load/ramp.h"

#include <catch2/catch.hpp>

using namespace sluice::ctl::load;

namespace {

/// Of 100 requests in 10 s, so many met the objectives.
Step step(double rate, std::size_t good) {
  Step s{.rate = rate, .summary = {}};
  s.summary.completed = 100;
  s.summary.duration_s = 10;
  s.summary.good = good;
  s.summary.goal.ttft = 100;
  return s;
}

}  // namespace

TEST_CASE("the knee is the last rate before attainment falls below the share") {
  const auto k = knee_of({step(1, 100), step(2, 98), step(4, 58), step(8, 95)}, 0.9);
  REQUIRE(k);
  CHECK(k->rate == 2);
  CHECK(k->goodput == Approx(9.8));
  CHECK(k->crossing == Approx(2.4));  // a fifth of the way from 98 % to 58 %
  CHECK_FALSE(k->all_kept);
}

TEST_CASE("a ramp may end before its knee, or begin behind it") {
  const auto k = knee_of({step(1, 100), step(2, 90)}, 0.9);
  REQUIRE(k);
  CHECK(k->rate == 2);
  CHECK(k->all_kept);
  CHECK_FALSE(k->crossing);
  CHECK_FALSE(knee_of({step(1, 80), step(2, 100)}, 0.9));
  CHECK_FALSE(knee_of({}, 0.9));
  Step free = step(1, 100);
  free.summary.goal = {};
  CHECK_FALSE(knee_of({free}, 0.9));
}
