#include "coordinator/sim/shared_link.h"

#include <catch2/catch.hpp>

using namespace sluice::sim;

TEST_CASE("requests on a link share it evenly, each one's chunks in order") {
  const Timeline steady;
  const SharedLink::Rate rate{steady, 100};
  SharedLink l;
  l.enter(0, {1, 10, 200}, rate);
  CHECK(l.next_end(rate) == Approx(2));
  l.enter(1, {2, 20, 50}, rate);  // 100 are left of the first: both at 50
  CHECK(l.next_end(rate) == Approx(2));
  l.enter(1, {2, 21, 50}, rate);  // waits for the one before it, not beside it
  CHECK(l.next_end(rate) == Approx(2));
  CHECK(l.backlog_bytes() == Approx(200));
  CHECK(l.leave(2, rate).chunk == 20);
  CHECK(l.next_end(rate) == Approx(3));  // 50 left of each
  const double end = l.next_end(rate);
  const auto x = l.leave(end, rate).chunk;
  CHECK(l.next_end(rate) == Approx(end));
  const auto y = l.leave(end, rate).chunk;
  CHECK(x + y == 31);
  CHECK(l.idle());
  CHECK(l.sent_bytes() == Approx(300));
  CHECK(l.busy_s() == Approx(3));
}

TEST_CASE("what is under way meets a step of the rate, and idle time is not busy") {
  Timeline steps;
  steps.step(1, 0.5);
  const SharedLink::Rate rate{steps, 100};
  SharedLink l;
  l.enter(0, {1, 1, 150}, rate);
  CHECK(l.next_end(rate) == Approx(2));
  CHECK(l.leave(2, rate).chunk == 1);
  l.advance(10, rate);
  l.enter(12, {1, 2, 50}, rate);
  CHECK(l.next_end(rate) == Approx(13));
  (void)l.leave(13, rate);
  CHECK(l.busy_s() == Approx(3));
  CHECK(l.sent_bytes() == Approx(200));
}

TEST_CASE("factors of two timelines multiply, and bytes are what finish() says") {
  Timeline a;
  Timeline b;
  a.step(1, 0.5);
  a.step(4, 1);
  b.step(2, 0.1);
  const Timeline both = a.times(b);
  CHECK(both.at(0) == 1);
  CHECK(both.at(1.5) == 0.5);
  CHECK(both.at(3) == Approx(0.05));
  CHECK(both.at(5) == Approx(0.1));
  CHECK(both.bytes(0.5, both.finish(0.5, 77, 100), 100) == Approx(77));
  CHECK(both.bytes(0, 2, 100) == Approx(150));
}

TEST_CASE("what a request has beyond its next bytes may shrink, and only its own") {
  const Timeline steady;
  const SharedLink::Rate rate{steady, 100};
  SharedLink l;
  l.enter(0, {1, 10, 200}, rate);
  l.enter(0, {1, 11, 100}, rate);
  l.enter(0, {2, 20, 200}, rate);
  CHECK(l.requests() == std::vector<std::uint32_t>{1, 2});
  const auto gone = l.shrink(1, 1, 80, 0.25, rate);  // 150, 100 and 150 are left by then
  REQUIRE(gone.size() == 2);
  CHECK(gone[0].chunk == 10);
  CHECK(gone[0].bytes == Approx(70));
  CHECK(gone[1].chunk == 11);
  CHECK(gone[1].bytes == Approx(100));
  CHECK(l.backlog_bytes(1) == Approx(80 + 70 * 0.25 + 100 * 0.25));
  CHECK(l.backlog_bytes(2) == Approx(150));
  CHECK(l.leave(l.next_end(rate), rate).chunk == 10);
}
