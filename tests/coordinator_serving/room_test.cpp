// Room that is about to come: what waiting legs do while cancelled ones give their blocks back, and while no node is
// left.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

struct Pair {
  Bench b;
  FakeNode& p0;
  FakeNode& d0;
  explicit Pair(ServingOptions o = {}, std::uint32_t blocks = 100)
      : b(std::move(o)), p0(b.join(node_info(ctl::Role::prefill, "p0"))), d0(b.join(decode(blocks))) {}
  static ctl::RegisterRequest decode(std::uint32_t blocks) {
    auto r = node_info(ctl::Role::decode, "d0");
    r.total_blocks = blocks;
    return r;
  }
};

}  // namespace

// With half of the clients leaving in mid-answer a good part of the others got 429: the coordinator took a cancelled
// leg's blocks as free at once, placed the next one, and the node, which had not let go yet, refused it. Four tries
// were spent within a millisecond.
TEST_CASE("a cancelled leg's blocks are free when the node has let go of them, not before") {
  Pair k({}, 5);  // a leg of 60 tokens takes 4
  k.d0.hold_cancels = true;
  const auto first = k.b.start({});
  REQUIRE(k.b.until([&] { return k.p0.prefills.size() == 1; }));
  const RequestId leaving = k.b.last;
  const auto patient = k.b.start({});
  REQUIRE(k.b.until([&] { return k.b.serving.waiting() == 1; }));
  k.b.serving.cancel(leaving, CancelReason::client_gone);
  REQUIRE(k.b.until([&] { return first->over() && !k.d0.held.empty(); }));
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(250);  // more than two sweeps
  REQUIRE(k.b.until([&] { return k.d0.reserves.size() > 1 || std::chrono::steady_clock::now() > end; }));
  CHECK(k.d0.reserves.size() == 1);
  k.d0.let_go();
  REQUIRE(k.b.until([&] { return k.d0.reserves.size() == 2; }));
  CHECK_FALSE(patient->over());
}

TEST_CASE("a node that has no room yet costs no try") {
  Pair k;
  k.d0.refusals = 3 * kMaxResumes;
  const auto heard = k.b.start({});
  REQUIRE(k.b.until([&] { return k.p0.prefills.size() == 1; }));
  k.d0.tokens(k.b.last, 0, {1});
  k.p0.prefill_done(k.b.last);
  k.d0.finished(k.b.last);
  REQUIRE(k.b.until([&] { return heard->over(); }));
  CHECK(heard->end);
  CHECK(heard->stats.extra.count("resumes") == 0);
  CHECK_THAT(k.b.serving.metrics_text(), Catch::Contains("\nsluice_prompt_tokens_total 40\n"));
}

TEST_CASE("a node that never has room is given up when the leg's wait is over") {
  ServingOptions o;
  o.max_wait_s = 0.3;
  Pair k(o);
  k.d0.refusals = 1'000'000;
  const auto heard = k.b.start({});
  REQUIRE(k.b.until([&] { return heard->over(); }));
  REQUIRE(heard->error);
  CHECK(heard->error->code == Errc::resource_exhausted);
  CHECK(heard->retry_after);
  CHECK(1'000'000 - k.d0.refusals < 40);
}

TEST_CASE("a leg without a token whose only prefill node died is told so within its wait") {
  ServingOptions o;
  o.max_wait_s = 0.4;
  Pair k(o);
  const auto heard = k.b.start({});
  REQUIRE(k.b.until([&] { return k.p0.prefills.size() == 1; }));
  k.b.lose("p0");
  REQUIRE(k.b.until([&] { return heard->over(); }));
  REQUIRE(heard->error);
  CHECK(heard->error->code == Errc::unavailable);
  CHECK_THAT(heard->error->message, Catch::Contains("was lost"));
  CHECK(heard->retry_after);
}
