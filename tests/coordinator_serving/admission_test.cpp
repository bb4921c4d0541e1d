// What decode nodes are expected to hold decides who waits and who hears at once that it is no use.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

struct Full {
  Bench b;
  FakeNode& p0 = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d0 = b.join(node_info(ctl::Role::decode, "d0"));
  std::vector<std::shared_ptr<Heard>> running;

  void begin(LegSpec spec = {}) {
    const std::size_t n = p0.prefills.size();
    running.push_back(b.start(std::move(spec)));
    REQUIRE(b.until([&] { return p0.prefills.size() == n + 1; }));
  }
  /// Ends the leg started last.
  void end() {
    d0.tokens(b.last, 0, {1, 2});
    p0.prefill_done(b.last);
    d0.finished(b.last);
    REQUIRE(b.until([&] { return running.back()->over(); }));
    running.pop_back();
  }
  /// Outputs enough to forecast from, then legs that do not end.
  void load(int legs) {
    for (int i = 0; i < 24; ++i) {
      begin();
      end();
    }
    for (int i = 0; i < legs; ++i) begin();
  }
  double early(const std::string& why) {
    return b.metrics
        .counter("sluice_early_rejections_total",
                 "Requests refused for what decode nodes are expected to hold, before anything was computed.",
                 {{"why", why}})
        .value();
  }
};

LegSpec within(Duration ttft) {
  LegSpec s;
  s.slo_ttft = ttft;
  return s;
}

}  // namespace

TEST_CASE("who is expected to get room in time waits, who is not hears when to come again") {
  Full f;
  f.load(8);  // every seat of the decode node
  const auto patient = f.b.start({});
  REQUIRE(f.b.until([&] { return f.b.serving.waiting() == 1; }));
  const auto hasty = f.b.start(within(std::chrono::milliseconds(5)));
  REQUIRE(f.b.until([&] { return hasty->over(); }));
  REQUIRE(hasty->error);
  CHECK(hasty->error->code == Errc::resource_exhausted);
  CHECK(hasty->error->message.find("is expected to start in") != std::string::npos);
  REQUIRE(hasty->retry_after);
  CHECK(*hasty->retry_after >= std::chrono::seconds(1));
  CHECK(f.early("room") == 1);
  CHECK_FALSE(patient->over());
  CHECK(f.p0.prefills.size() == 32);  // nothing was computed for either
}

TEST_CASE("before outputs were seen nobody is refused on a guess") {
  Full f;
  for (int i = 0; i < 8; ++i) f.begin();
  const auto hasty = f.b.start(within(std::chrono::milliseconds(50)));
  CHECK(f.b.until([&] { return f.b.serving.waiting() == 1 || hasty->over(); }));
  CHECK(f.early("room") == 0);
}

TEST_CASE("a coordinator that comes back forecasts from what it saw before") {
  Full before;
  before.load(0);
  Full f;
  f.b.serving.state().load(before.b.serving.state().save());
  for (int i = 0; i < 8; ++i) f.begin();
  const auto hasty = f.b.start(within(std::chrono::milliseconds(5)));
  REQUIRE(f.b.until([&] { return hasty->over(); }));
  CHECK(f.early("room") == 1);
}

TEST_CASE("a request that says how fast it must be decoded is not computed when it cannot be") {
  Full f;
  f.load(6);  // of a node that says nothing of its speed: 7.5 ms a step and 2.5 ms for each sequence
  auto ask = [&](Duration tpot) {
    LegSpec s;
    s.slo_tpot = tpot;
    return f.b.start(std::move(s));
  };
  const auto fast = ask(std::chrono::milliseconds(15));
  REQUIRE(f.b.until([&] { return fast->over(); }));
  REQUIRE(fast->error);
  CHECK(fast->error->code == Errc::resource_exhausted);
  CHECK(*fast->retry_after >= std::chrono::seconds(1));
  CHECK(f.early("speed") == 1);
  CHECK(f.p0.prefills.size() == 30);

  const auto slow = ask(std::chrono::milliseconds(100));
  const auto impossible = ask(std::chrono::microseconds(1));  // by any load; it is served as well as can be
  REQUIRE(f.b.until([&] { return f.p0.prefills.size() == 32; }));
  CHECK_FALSE(slow->over());
  CHECK_FALSE(impossible->over());
  CHECK(f.early("speed") == 1);
}

// Both choices of one client, of which one runs and one waits: its disconnect cancelled both in one turn, the first
// one's end made room, and the second was sent to the nodes, where it held blocks that nobody gave back.
TEST_CASE("a waiting request that was cancelled is not placed by another one's end") {
  Full f;
  for (int i = 0; i < 8; ++i) f.begin();
  const RequestId running = f.b.last;
  const auto waits = f.b.start({});
  const RequestId waiting = f.b.last;
  REQUIRE(f.b.until([&] { return f.b.serving.waiting() == 1; }));
  f.b.serving.cancel(running, CancelReason::client_gone);
  f.b.serving.cancel(waiting, CancelReason::client_gone);
  REQUIRE(f.b.until([&] { return waits->over() && f.running.back()->over(); }));
  CHECK(waits->end == LegEnd::cancelled);
  CHECK(f.b.serving.active() == 7);
  // Once the node has let go of it.
  REQUIRE(f.b.until([&] { return f.b.serving.view().find(NodeId("d0"))->seqs == 7; }));
  f.begin();  // whoever comes next has the place
  CHECK(f.d0.reserves.size() == 9);
}
