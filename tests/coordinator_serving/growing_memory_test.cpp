// Decode nodes that take blocks as positions come: what the account and the forecast say of them through a leg's life.
#include "tests/coordinator_serving/moving_leg.h"

using namespace sluice;
using namespace sluice::test;

namespace {

struct GrowingNode {
  Bench b;
  FakeNode& p0;
  FakeNode& d0;
  explicit GrowingNode(std::uint32_t blocks = 100, std::uint32_t max_seqs = 64)
      : p0(b.join(node_info(ctl::Role::prefill, "p0"))), d0(b.join(decode(blocks, max_seqs))) {}
  static ctl::RegisterRequest decode(std::uint32_t blocks, std::uint32_t max_seqs) {
    auto r = mover_node("d0", blocks);
    r.max_seqs = max_seqs;
    return r;
  }
  const NodeRecord& record() { return *b.serving.view().find(NodeId("d0")); }
  /// A prompt of 40 tokens, whose answer takes what the node holds.
  std::shared_ptr<Heard> ask() {
    LegSpec spec;
    spec.open_ended = true;
    return b.start(std::move(spec), 1'000'000);
  }
};

}  // namespace

TEST_CASE("a leg holds its prompt's blocks, then those of its tokens, then none") {
  GrowingNode g;
  const auto heard = g.ask();
  REQUIRE(g.b.until([&] { return g.p0.prefills.size() == 1; }));
  CHECK(g.record().reserved_blocks == 3);
  CHECK(g.d0.reserves[0].max_new_tokens == 1560);
  const double first = g.record().memory.expected_peak();
  CHECK(first > 3);
  CHECK(first < 40);  // no sign of its limit
  g.p0.prefill_done(g.b.last);
  g.d0.tokens(g.b.last, 0, std::vector<TokenId>(8, 1));
  REQUIRE(g.b.until([&] { return heard->tokens.size() == 8; }));
  CHECK(g.record().reserved_blocks == 3);
  g.d0.tokens(g.b.last, 8, {1});
  REQUIRE(g.b.until([&] { return heard->tokens.size() == 9; }));
  CHECK(g.record().reserved_blocks == 4);
  g.d0.tokens(g.b.last, 9, std::vector<TokenId>(100, 1));
  REQUIRE(g.b.until([&] { return heard->tokens.size() == 109; }));
  CHECK(g.record().reserved_blocks == 10);
  CHECK(g.record().memory.expected_peak() > first);
  CHECK_THAT(g.b.serving.metrics_text(), Catch::Contains("sluice_kv_forecast_ratio{decode_node=\"d0\"} 0."));
  g.d0.finished(g.b.last);
  REQUIRE(g.b.until([&] { return heard->over(); }));
  CHECK(g.record().reserved_blocks == 0);
  CHECK(g.record().memory.expected_peak() == 0);
}

TEST_CASE("many answers without a limit run at a time, where whole ones would go one by one") {
  GrowingNode g(1000);
  std::vector<std::shared_ptr<Heard>> all;
  for (int i = 0; i < 64; ++i) all.push_back(g.ask());
  REQUIRE(g.b.until([&] { return g.d0.reserves.size() >= 24; }));
  CHECK(g.record().memory.peak() <= 1000);
}

TEST_CASE("a refusal by the node closes it until its next heartbeat, and costs no try") {
  GrowingNode g;
  g.d0.refusals = 2;
  const auto heard = g.ask();
  REQUIRE(g.b.until([&] { return g.p0.prefills.size() == 1; }));
  CHECK(g.d0.refusals == 0);
  CHECK(g.record().reserved_blocks == 3);
  g.d0.tokens(g.b.last, 0, {1});
  g.p0.prefill_done(g.b.last);
  g.d0.finished(g.b.last);
  REQUIRE(g.b.until([&] { return heard->over(); }));
  CHECK(heard->end);
  CHECK(heard->stats.extra.count("resumes") == 0);
}

TEST_CASE("nobody new goes to a node where some wait for their blocks") {
  GrowingNode g;
  g.d0.parked = 1;
  REQUIRE(g.b.until([&] { return g.record().last.parked == 1; }));
  const auto heard = g.ask();
  REQUIRE(g.b.until([&] { return g.b.serving.waiting() == 1; }));
  CHECK(g.d0.reserves.empty());
  g.d0.parked = 0;
  REQUIRE(g.b.until([&] { return g.d0.reserves.size() == 1; }));
  CHECK_FALSE(heard->over());
}

TEST_CASE("a leg that moves stands in both nodes' forecasts, and in the end in its new one's alone") {
  MovingLeg l;
  const auto peak = [&](const char* node) { return l.b.serving.view().find(NodeId(node))->memory.expected_peak(); };
  CHECK(peak("d0") > 0);
  CHECK(peak("d1") == 0);
  l.until_copying();
  CHECK(peak("d0") > 0);
  CHECK(peak("d1") > 0);
  l.halt();
  l.token(*l.d1);
  REQUIRE(l.b.until([&] { return peak("d0") == 0; }));
  CHECK(peak("d1") > 0);
  CHECK(l.blocks("d1") == (40 + l.made + 15) / 16);
}
