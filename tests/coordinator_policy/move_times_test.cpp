#include "coordinator/policy/move_times.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::coordinator;

namespace {

const MoveTimes::Pair kPair{NodeId("a"), NodeId("b")};

}  // namespace

TEST_CASE("a stop lies as far ahead as the copy takes, and a little more") {
  const MoveTimes t;
  const StopAsk ask{.positions = 1000, .copy_s = 0.1, .step_s = 0.01, .last = 5000};
  const auto stop = t.stop(ask);
  CHECK(stop >= 1000 + 10 + MoveTimes::kSlackTokens);
  CHECK(stop <= 1000 + 20);
  StopAsk again = ask;
  again.again = true;
  CHECK(t.stop(again) - 1000 >= 2 * (stop - 1000));
}

TEST_CASE("no stop lies behind the end of the answer") {
  const MoveTimes t;
  CHECK(t.stop({.positions = 1000, .copy_s = 0.1, .step_s = 0.01, .last = 1005}) == 0);
  CHECK(t.stop({.positions = 1000, .copy_s = 1e9, .step_s = 0.01, .last = 4000000000U}) == 0);
}

TEST_CASE("speeds of pairs are learned from copies, and start from what is told") {
  MoveTimes t;
  TimePoint now{};
  CHECK(t.copy_s(kPair, 1e9, 2e9, now) == Approx(0.5));
  for (int i = 0; i < 20; ++i)
    t.observe(kPair, {.wire_bytes = 1e8, .wall_s = 1, .exposed_s = 0.5, .step_s = 0.01}, now);
  CHECK(t.copy_s(kPair, 1e8, 2e9, now) == Approx(1).epsilon(0.1));
  CHECK(t.copy_s({NodeId("b"), NodeId("a")}, 1e9, 2e9, now) == Approx(0.5));  // another pair
  t.forget(NodeId("b"));
  CHECK(t.copy_s(kPair, 1e9, 2e9, now) == Approx(0.5));
}

// A copy that was done in time ends when the source halts: a far stop made a fast link look slow.
TEST_CASE("a copy that waited for its source says only how fast the pair is at least") {
  MoveTimes t;
  TimePoint now{};
  CHECK(t.copy_s(kPair, 1e9, 1e9, now) == Approx(1));
  for (int i = 0; i < 20; ++i)
    t.observe(kPair, {.wire_bytes = 1e6, .wall_s = 1, .exposed_s = 0.001, .step_s = 0.01}, now);
  CHECK(t.copy_s(kPair, 1e9, 1e9, now) == Approx(1));
  for (int i = 0; i < 20; ++i)
    t.observe(kPair, {.wire_bytes = 4e9, .wall_s = 1, .exposed_s = 0.001, .step_s = 0.01}, now);
  CHECK(t.copy_s(kPair, 1e9, 1e9, now) < 0.5);
}
