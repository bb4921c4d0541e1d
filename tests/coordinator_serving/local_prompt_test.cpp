// Prompts that their decode node computes, whole or from a cut on: what the nodes are asked, and that it stays so.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

ctl::RegisterRequest prefill(const std::string& name) {
  auto r = node_info(ctl::Role::prefill, name);
  r.prefill_chunk = 16;
  r.max_batch_tokens = 64;
  return r;
}

/// A decode node that says that it computes prompts.
FakeNode& able(Bench& b, const std::string& name) {
  FakeNode& d = b.join(node_info(ctl::Role::decode, name));
  d.prompt_tokens_per_s = 1e5;
  REQUIRE(b.until([&] { return b.serving.view().find(NodeId(name))->last.prefill_tokens_per_s > 0; }));
  return d;
}

}  // namespace

TEST_CASE("a prompt is cut where its request says, and an answer that was begun keeps its cut") {
  Bench b;
  FakeNode& p0 = b.join(prefill("p0"));
  FakeNode& d0 = b.join(node_info(ctl::Role::decode, "d0"));
  const auto heard = b.start({.profile = "q8", .cut = 32});
  const RequestId id = b.last;
  REQUIRE(b.until([&] { return p0.prefills.size() == 1; }));
  CHECK(p0.prefills[0].tokens.size() == 32);
  CHECK(d0.reserves[0].kv_tokens == 32);
  CHECK(d0.reserves[0].tokens.size() == 40);
  CHECK_FALSE(d0.reserves[0].probe);
  CHECK(b.serving.view().find(NodeId("d0"))->queued_tokens == 8);
  d0.tokens(id, 0, {11});
  REQUIRE(b.until([&] { return heard->tokens.size() == 1; }));
  CHECK(b.serving.view().find(NodeId("d0"))->queued_tokens == 0);
  FakeNode& d1 = able(b, "d1");
  b.lose("d0");
  REQUIRE(b.until([&] { return p0.prefills.size() == 2; }));
  CHECK(p0.prefills[1].tokens.size() == 32);
  CHECK(p0.prefills[1].profile == "q8");
  CHECK(d1.reserves[0].kv_tokens == 32);
  CHECK(d1.reserves[0].tokens.size() == 41);
  d1.tokens(id, 1, {12});
  p0.prefill_done(id);
  d1.finished(id);
  REQUIRE(b.until([&] { return heard->over(); }));
  CHECK(heard->stats.extra["mode"] == "cut");
  CHECK(heard->stats.extra["cut"] == 32);
  CHECK(heard->stats.extra["bits"]["cut"] == 32);
  CHECK(b.decision()["mode"] == "cut");
}

TEST_CASE("an answer whose KV loses nothing goes on at its cut where chunks end elsewhere, too") {
  Bench b;
  b.join(prefill("p0"));
  FakeNode& d0 = b.join(node_info(ctl::Role::decode, "d0"));
  const bool lossless = GENERATE(true, false);
  const auto heard = b.start({.profile = lossless ? "raw" : "q8", .cut = 16});
  const RequestId id = b.last;
  REQUIRE(b.until([&] { return b.nodes.at("p0")->prefills.size() == 1; }));
  d0.tokens(id, 0, {11});
  REQUIRE(b.until([&] { return heard->tokens.size() == 1; }));
  auto longer = prefill("p1");
  longer.prefill_chunk = 48;
  FakeNode& p1 = b.join(longer);
  FakeNode& d1 = able(b, "d1");
  b.lose("p0");
  b.lose("d0");
  if (!lossless) {  // it waits for one with the same chunks
    FakeNode& p2 = b.join(prefill("p2"));
    REQUIRE(b.until([&] { return p2.prefills.size() == 1; }));
    CHECK(p1.prefills.empty());
    return;
  }
  REQUIRE(b.until([&] { return p1.prefills.size() == 1; }));
  CHECK(p1.prefills[0].tokens.size() == 16);
  d1.tokens(id, 1, {12});
  p1.prefill_done(id);
  d1.finished(id);
  REQUIRE(b.until([&] { return heard->over(); }));
  CHECK(heard->end == LegEnd::length);
}

TEST_CASE("of lossless KV the cut does not change the bits where both nodes compute alike") {
  Bench b;
  FakeNode& p0 = b.join(prefill("p0"));
  FakeNode& d0 = b.join(node_info(ctl::Role::decode, "d0"));
  std::vector<std::string> fingerprints;
  for (const std::uint32_t cut : {0U, 16U, 39U}) {
    const std::size_t before = p0.prefills.size();
    const auto heard = b.start({.seeded = true, .cut = cut});
    REQUIRE(b.until([&] { return !d0.reserves.empty() && d0.reserves.back().request == b.last; }));
    if (cut > 0) REQUIRE(b.until([&] { return p0.prefills.size() == before + 1; }));
    CHECK(d0.reserves.back().kv_tokens == cut);
    REQUIRE(b.until([&] { return d0.reserves.back().request == b.last; }));
    b.io.run_for(std::chrono::milliseconds(20));
    d0.tokens(b.last, 0, {1});
    if (cut > 0) p0.prefill_done(b.last);
    d0.finished(b.last);
    REQUIRE(b.until([&] { return heard->over(); }));
    fingerprints.push_back(heard->fingerprint);
    CHECK(heard->stats.extra["mode"] == (cut == 0 ? "colocated" : cut == 39 ? "split" : "cut"));
  }
  CHECK(fingerprints[0] == fingerprints[1]);
  CHECK(fingerprints[1] == fingerprints[2]);
}

TEST_CASE("a cut that no chunk ends at is refused with the field's name") {
  Bench b;
  b.join(prefill("p0"));
  b.join(node_info(ctl::Role::decode, "d0"));
  for (const std::uint32_t cut : {10U, 40U}) {
    const auto heard = b.start({.cut = cut});
    REQUIRE(b.until([&] { return heard->over(); }));
    REQUIRE(heard->error);
    CHECK(heard->error->code == Errc::invalid_argument);
    CHECK(heard->error->param == "sluice.cut");
  }
}

TEST_CASE("without a prefill node decode nodes serve alone; where that is forbidden nobody is served unless he asks") {
  for (const bool allowed : {true, false}) {
    CAPTURE(allowed);
    ServingOptions o;
    o.local_prefill = allowed;
    Bench b(o);
    FakeNode& d0 = able(b, "d0");
    CHECK(b.serving.health().ready == allowed);
    const auto heard = b.start({});
    if (!allowed) {
      REQUIRE(b.until([&] { return heard->over(); }));
      CHECK(heard->error->code == Errc::unavailable);
      (void)b.start({.mode = LegMode::colocated});
      REQUIRE(b.until([&] { return d0.reserves.size() == 1; }));
      continue;
    }
    REQUIRE(b.until([&] { return d0.reserves.size() == 1; }));
    CHECK(d0.reserves[0].kv_tokens == 0);
    CHECK(d0.reserves[0].profile.empty());
    b.io.run_for(std::chrono::milliseconds(20));
    d0.tokens(b.last, 0, {1, 2});
    d0.end({.request = b.last,
            .reason = "length",
            .first_step_s = 0.3,
            .local_queue_s = 0.1,
            .local_s = 0.2,
            .local_tokens = 40});
    REQUIRE(b.until([&] { return heard->over(); }));
    const auto& x = heard->stats.extra;
    CHECK(x["prefill_node"].is_null());
    CHECK(x["cut"] == 0);
    CHECK(x["local_tokens"] == 40);
    CHECK(x["local_queue_ms"] == Approx(100));
    CHECK(x["local_compute_ms"] == Approx(200));
    CHECK(heard->stats.profile == "none");
    CHECK(b.decision()["prefill_node"].is_null());
    CHECK(b.decision()["stages_ms"]["local"] == Approx(200));
    CHECK(b.serving.metrics_text().find("sluice_local_prompts_total{part=\"whole\"} 1") != std::string::npos);
  }
}

TEST_CASE("who wants the log-probabilities of the prompt, or a profile, has it computed by a prefill node") {
  Bench b;
  FakeNode& p0 = b.join(prefill("p0"));
  FakeNode& d0 = able(b, "d0");
  d0.prompt_tokens_per_s = 1e9;
  (void)b.start({.prompt_logprobs = 1});
  (void)b.start({.profile = "q8"});
  (void)b.start({.mode = LegMode::split});
  REQUIRE(b.until([&] { return p0.prefills.size() == 3; }));
}
