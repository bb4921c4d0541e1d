// A decode node drains: what it decodes goes on elsewhere at once.
#include "tests/coordinator_serving/moving_leg.h"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("a drain moves what a node decodes") {
  MovingLeg l;
  if (GENERATE(true, false)) {
    REQUIRE(l.b.serving.drain_node(NodeId("d0"), false));
  } else {
    l.d0.draining = true;  // a signal: its heartbeats say so
  }
  REQUIRE(l.b.until([&] { return !l.d0.moves.empty(); }));
  l.halt();
  l.token(*l.d1);
  l.end_on(*l.d1);
  CHECK(l.count("drain", "moved") == 1);
  l.check_given_back();
}

TEST_CASE("a leg whose KV is on its way moves with its first token") {
  MovingLeg l;
  const auto heard = l.another_on_d0();
  const RequestId id = l.b.last;
  FakeNode& d2 = l.b.join(mover_node("d2"));
  REQUIRE(l.b.serving.drain_node(NodeId("d0"), false));
  l.spin(150);
  CHECK(l.d0.moves.empty());
  l.p0.prefill_done(id);
  l.d0.tokens(id, 0, {11});
  REQUIRE(l.b.until([&] { return l.d0.moves.size() == 1; }));
  CHECK(d2.reserves.size() == 1);
  CHECK(l.p0.prefills.size() == 2);
}

TEST_CASE("a leg whose prefill has not begun is placed again, at no cost of a try") {
  MovingLeg l;
  const auto heard = l.another_on_d0();
  const RequestId id = l.b.last;
  l.p0.waiting = 1;
  FakeNode& d2 = l.b.join(mover_node("d2"));
  REQUIRE(l.b.until([&] { return l.b.serving.view().find(NodeId("p0"))->last.waiting == 1; }));
  REQUIRE(l.b.serving.drain_node(NodeId("d0"), false));
  REQUIRE(l.b.until([&] { return d2.reserves.size() == 1 && l.p0.prefills.size() == 3; }));
  l.p0.waiting = 0;
  l.p0.prefill_done(id);
  d2.tokens(id, 0, {11});
  d2.finished(id);
  REQUIRE(l.b.until([&] { return heard->over(); }));
  CHECK(heard->end == LegEnd::length);
  CHECK(heard->stats.extra.count("resumes") == 0);
  l.check_given_back();
}

TEST_CASE("with no other decode node a drain waits for what is there") {
  MovingLeg l;
  l.b.lose("d1");
  REQUIRE(l.b.serving.drain_node(NodeId("d0"), true));
  l.spin(250);
  CHECK(l.d0.moves.empty());
  l.token(l.d0);
  l.end_on(l.d0);
}
