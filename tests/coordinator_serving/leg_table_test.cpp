// Who is where: what the table of legs answers.
#include "coordinator/serving/leg_table.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::coordinator;

namespace {

const TimePoint kNow{std::chrono::seconds(1000)};

SessionPtr leg_on(LegTable& t, const char* prefill, const char* decode, SessionState state) {
  Asked asked;
  asked.features.max_new_tokens = 50;
  const SessionPtr s = t.add(std::move(asked), nullptr);
  s->run.prefill = NodeId(prefill);
  s->run.decode = NodeId(decode);
  s->run.place.blocks = 4;
  s->state = state;
  return s;
}

ClusterView two_decode_nodes() {
  ClusterView view{std::chrono::minutes(1)};
  for (const char* name : {"d0", "d1"}) {
    control::RegisterRequest r;
    r.role = control::Role::decode;
    r.node = NodeId(name);
    r.incarnation = Incarnation(1);
    r.data_address = "127.0.0.1:9";
    r.block_size = 16;
    r.total_blocks = 100;
    r.max_seqs = 8;
    r.profiles = {{"raw", 0.0, 1.0, 1e9, 1e9}};
    REQUIRE(view.add(std::move(r), kNow));
  }
  (void)view.snapshot();
  return view;
}

}  // namespace

TEST_CASE("ids are given in order, and who was removed is not found") {
  LegTable t;
  const SessionPtr a = t.add({}, nullptr);
  const SessionPtr b = t.add({}, nullptr);
  CHECK(a->id < b->id);
  CHECK(t.find(a->id) == a);
  t.remove(a->id);
  CHECK(t.find(a->id) == nullptr);
  CHECK(t.size() == 1);
}

TEST_CASE("a lost node concerns the legs that still need it, in order of arrival") {
  LegTable t;
  const SessionPtr prefilling = leg_on(t, "p0", "d0", SessionState::prefilling);
  const SessionPtr decoding = leg_on(t, "p0", "d0", SessionState::decoding);
  decoding->run.prefill_reported = true;
  leg_on(t, "p0", "d0", SessionState::waiting);  // of an earlier attempt
  leg_on(t, "p0", "d0", SessionState::ended);
  leg_on(t, "p1", "d1", SessionState::decoding);
  CHECK(t.on_node(NodeId("p0")) == std::vector<SessionPtr>{prefilling});
  CHECK(t.on_node(NodeId("d0")) == std::vector<SessionPtr>{prefilling, decoding});
}

TEST_CASE("what decode nodes hold is told by node: what has come, and when the rest will") {
  LegTable t;
  const ClusterView view = two_decode_nodes();
  const SessionPtr coming = leg_on(t, "p0", "d1", SessionState::prefilling);
  coming->run.decided = kNow - std::chrono::seconds(1);
  coming->run.predicted_ttft_s = 3;
  coming->run.predicted_tpot_s = 0.02;
  const SessionPtr running = leg_on(t, "p0", "d1", SessionState::decoding);
  running->answer.emitted = {1, 2, 3};
  running->answer.first_token = kNow - std::chrono::milliseconds(100);
  running->answer.last_token = kNow;
  leg_on(t, "p0", "gone", SessionState::decoding);
  leg_on(t, "p0", "d1", SessionState::waiting);
  const OccupantsOf all = t.occupants(view, kNow);
  CHECK(all(0).empty());
  CHECK(all(7).empty());
  REQUIRE(all(1).size() == 2);
  const bool first = all(1)[0].emitted == 0;
  const Occupant& a = all(1)[first ? 0 : 1];
  const Occupant& b = all(1)[first ? 1 : 0];
  CHECK(a.blocks == 4);
  CHECK(a.limit == 50);
  CHECK(a.starts_in_s == Approx(2));
  CHECK(a.tpot_s == 0.02);
  CHECK(b.emitted == 3);
  CHECK(b.starts_in_s == 0);
  CHECK(b.tpot_s == Approx(0.05));
}

// A queue on a prefill node once showed as running: autoscalers that look at what waits saw nothing.
TEST_CASE("a leg waits until its computation begins, in the queue of its prefill node too") {
  LegTable t;
  ClusterView view = two_decode_nodes();
  control::RegisterRequest p;
  p.node = NodeId("p0");
  p.incarnation = Incarnation(1);
  p.profiles = {{"raw", 0.0, 1.0, 1e9, 1e9}};
  REQUIRE(view.add(p, kNow));
  leg_on(t, "", "", SessionState::waiting);
  leg_on(t, "p0", "d0", SessionState::reserving);
  for (int i = 0; i < 3; ++i) leg_on(t, "p0", "d0", SessionState::prefilling);
  leg_on(t, "gone", "d0", SessionState::prefilling);
  leg_on(t, "p0", "d0", SessionState::decoding);
  leg_on(t, "p0", "d0", SessionState::reporting);
  leg_on(t, "p0", "d0", SessionState::ended);
  CHECK(t.counts(view).waiting == 2);
  CHECK(t.counts(view).running == 6);
  view.heartbeat(p.node, {.waiting = 2, .running = 1}, kNow);
  CHECK(t.counts(view).waiting == 4);
  CHECK(t.counts(view).running == 4);
  view.heartbeat(p.node, {.waiting = 50}, kNow);  // of others, or of legs that were cancelled since
  CHECK(t.counts(view).waiting == 5);
  CHECK(t.counts(view).running == 3);
  // What was sent to it since stands behind that, though it has not told of it yet.
  for (int i = 0; i < 2; ++i) leg_on(t, "p0", "d0", SessionState::prefilling)->run.decided = kNow + Duration(1);
  CHECK(t.counts(view).waiting == 7);
  view.heartbeat(p.node, {}, kNow);
  CHECK(t.counts(view).waiting == 3);  // an idle node has begun one of them
}
