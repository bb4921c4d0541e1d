// Prompts computed where they are decoded, whole or from a cut on: when that is chosen, when not, and what is refused.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "coordinator/policy/placement.h"
#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;

namespace {

/// Decode nodes that compute prompts as fast as prefill nodes.
ClusterSnapshot able(std::size_t p, std::size_t d) {
  ClusterSnapshot c = test::cluster(p, d);
  for (DecodeView& v : c.decodes) {
    v.prompt_tokens_per_s = 10000;
    v.chunk_tokens = 512;
  }
  return c;
}

struct Bench {
  Placement placement;
  TimePoint now{std::chrono::seconds(1000)};
  Bench() : placement(ControllerOptions{.explore_share = 0}) {}
  Placed decide(const ClusterSnapshot& c, const RequestFeatures& r) { return placement.decide(c, r, 600, now); }
  Candidate chosen(const ClusterSnapshot& c, const RequestFeatures& r) {
    const Placed p = decide(c, r);
    if (const auto* no = std::get_if<Refusal>(&p)) FAIL(no->error.message);
    REQUIRE(std::holds_alternative<Decision>(p));
    return std::get<Decision>(p).chosen;
  }
};

RequestFeatures request(std::uint32_t prompt = 4096, Objective o = Objective::latency) {
  RequestFeatures r = test::request(prompt);
  r.objective = o;
  return r;
}

}  // namespace

TEST_CASE("an idle decode node computes a prompt whose KV would take long on the link") {
  Bench b;
  auto c = able(1, 2);
  const Candidate fast = b.chosen(c, request());
  for (LinkState& l : c.links) l.bandwidth_bps = 5e7;
  c.topology = 0;
  Bench slow;
  const Candidate k = slow.chosen(c, request());
  CHECK(k.local);
  CHECK(k.cut == 0);
  CHECK(k.here_tokens == 4096);
  CHECK(k.kl == 0);
  CHECK(k.wire_bytes == 0);
  CHECK(k.predicted_ttft_s == Approx(0.4096 + k.stages.fixed_s).margin(0.01));
  CHECK(fast.cut + fast.here_tokens + (fast.local ? 0 : fast.here_tokens > 0 ? 0 : 1) == 4096);
}

TEST_CASE("a node that does not say that it computes prompts gets none unasked") {
  Bench b;
  auto c = test::cluster(1, 1);
  c.links[0].bandwidth_bps = 1e7;
  const Candidate k = b.chosen(c, request());
  CHECK_FALSE(k.local);
  CHECK(k.cut == 4095);
  auto r = request();
  r.cut = 0;
  CHECK(b.chosen(c, r).local);
}

TEST_CASE(
    "a queue before the prefill nodes sends prompts to where they are decoded, and those who decode hold it off") {
  Bench b;
  auto c = able(1, 1);
  c.links[0].bandwidth_bps = 1e11;
  c.prefills[0].queued_tokens = 100000;  // 10 s
  CHECK(b.chosen(c, request()).local);
  // 60 answers would each be held up for 1.4 s: far from their objective that costs little, near it very much.
  c.decodes[0].seqs = 60;
  c.decodes[0].step_s = 0.085;
  c.decodes[0].step_batch = 60;
  c.decodes[0].prompt_tokens_per_s = 2000;
  auto r = request();
  r.tpot_slo_s = 0.1;
  Bench busy;
  const Candidate k = busy.chosen(c, r);
  CHECK_FALSE(k.local);
  r.tpot_slo_s = 10;
  CHECK(Bench().chosen(c, r).local);
}

TEST_CASE("what is queued on the decode node counts until its first token") {
  Bench b;
  auto c = able(1, 2);
  auto r = request();
  r.cut = 0;
  Candidate first = b.chosen(c, r);
  b.placement.placed(first, b.now);
  c.decodes[first.decode].local_tokens = 4096;
  Candidate second = b.chosen(c, r);
  CHECK(second.decode != first.decode);
  c.decodes[second.decode].usable = false;
  const Candidate third = b.chosen(c, r);
  CHECK(third.stages.local_queue_s == Approx(first.stages.local_s));
  b.placement.here_done(first, b.now);
  c.decodes[first.decode].local_tokens = 0;
  CHECK(b.chosen(c, r).stages.local_queue_s == 0);
}

TEST_CASE("a prompt takes longer where it is decoded while a neighbour on the same cores computes") {
  Bench b;
  auto c = able(1, 1);
  c.hosts = {{"m0", 1}};
  c.prefills[0].host = c.decodes[0].host = 0;
  c.prefills[0].threads = c.decodes[0].threads = 1;
  auto local = request(), split = request(12288);
  local.cut = 0;
  split.cut = split.split_cut();
  const double alone = b.chosen(c, local).stages.local_s;
  Candidate beside = b.chosen(c, split);
  b.placement.placed(beside, b.now);
  CHECK(b.chosen(c, local).stages.local_s == Approx(2 * alone).epsilon(0.01));  // they take turns
  // What it took beside the neighbour says that it is as fast as before.
  for (int i = 0; i < 20; ++i) {
    Candidate k = b.chosen(c, local);
    b.placement.placed(k, b.now);
    b.now += from_seconds(2 * alone);
    b.placement.here_done(k, b.now);
    b.placement.finished(k, {.ttft_s = 2 * alone, .output_tokens = 32, .local_s = 2 * alone}, b.now);
  }
  b.placement.abandoned(beside, b.now);
  b.now += std::chrono::seconds(120);  // nor is it often busy
  CHECK(b.chosen(c, local).stages.local_s == Approx(alone).epsilon(0.1));
}

TEST_CASE("idle decode nodes share what is computed there") {
  Bench b;
  const auto c = able(0, 3);
  std::vector<int> got(3);
  for (int i = 0; i < 300; ++i) {
    b.now += std::chrono::seconds(1);
    Candidate k = b.chosen(c, request(100));
    ++got[k.decode];
    b.placement.placed(k, b.now);
    b.placement.here_done(k, b.now);
  }
  for (const int n : got) CHECK(n >= 80);
}

TEST_CASE("without prefill nodes decode nodes serve alone, unless that is forbidden") {
  Bench b;
  CHECK(b.chosen(able(0, 1), request()).local);
  auto none = able(1, 1);
  none.prefills[0].usable = false;
  CHECK(b.chosen(none, request()).local);
  auto r = request();
  r.cut = r.split_cut();
  const Placed refused = b.decide(none, r);
  CHECK(std::get<Refusal>(refused).error.code == Errc::unavailable);
  auto too_large = able(1, 1);
  too_large.prefills[0].total_tokens = 1024;
  CHECK(b.chosen(too_large, request()).local);
}

TEST_CASE("a prompt of one token needs no prefill node") {
  Bench b;
  CHECK(b.chosen(test::cluster(0, 1), request(1)).local);
}

TEST_CASE("where a decode node is full, one that would compute there waits as others do") {
  Bench b;
  auto c = able(0, 1);
  c.decodes[0].free_blocks = 0;
  CHECK(std::holds_alternative<Wait>(b.decide(c, request())));
}

TEST_CASE("a pinned cut is kept, and one that no chunk ends at is refused with what could be") {
  Bench b;
  auto c = able(1, 1);
  c.prefills[0].chunk_tokens = 256;
  c.prefills[0].pass_tokens = 1024;
  auto r = request();
  r.cut = 1024;
  const Candidate k = b.chosen(c, r);
  CHECK_FALSE(k.local);
  CHECK(k.cut == 1024);
  CHECK(k.here_tokens == 3072);
  CHECK(k.tokens == 1024);
  CHECK(k.stages.local_s == Approx(0.3072).margin(0.01));
  CHECK(k.stages.first_s == 0);
  r.cut = 1000;
  Placed no = b.decide(c, r);
  CHECK(std::get<Refusal>(no).error.param == "sluice.cut");
  CHECK_THAT(std::get<Refusal>(no).error.message, Catch::Contains("256"));
  r.cut_anywhere = true;
  CHECK(b.chosen(c, r).cut == 1000);
  r.cut = 4096;
  no = b.decide(c, r);
  CHECK_THAT(std::get<Refusal>(no).error.message, Catch::Contains("4095 at most"));
}

TEST_CASE("before a decode node that is faster but has a queue, a cut has the prefill node compute meanwhile") {
  Bench b;
  auto c = able(1, 1);
  c.links[0].bandwidth_bps = 1e11;
  c.decodes[0].prompt_tokens_per_s = 40000;
  c.decodes[0].others_tokens = 16000;  // 0.4 s, half of what the prefill node would take
  const Candidate k = b.chosen(c, request(8192));
  CHECK_FALSE(k.local);
  CHECK(k.cut % 512 == 0);
  CHECK(k.cut + k.here_tokens == 8192);
}

TEST_CASE("quality first: what is computed where it is decoded loses nothing") {
  Bench b;
  auto c = able(1, 1);
  c.links[0].bandwidth_bps = 3e8;  // raw takes 1.8 s, q8 0.9 s
  auto r = request(4096, Objective::quality);
  r.ttft_slo_s = 1.5;
  r.quality_budget = 0.05;
  const Candidate k = b.chosen(c, r);
  CHECK(k.local);
  r.cut = r.split_cut();
  CHECK(b.chosen(c, r).kl > 0);
}

TEST_CASE("a pinned profile is for KV that travels") {
  Bench b;
  auto c = able(1, 1);
  c.links[0].bandwidth_bps = 1e7;
  auto r = request();
  r.profile = "q8";
  const Candidate k = b.chosen(c, r);
  CHECK_FALSE(k.local);
  CHECK(k.profile == 1);
}

TEST_CASE("what prompts take on a decode node is learned, and kept over a restart") {
  Bench b;
  const auto c = able(1, 1);
  auto r = request();
  r.cut = 0;
  for (int i = 0; i < 50; ++i) {
    Candidate k = b.chosen(c, r);
    b.placement.placed(k, b.now);
    b.now += std::chrono::seconds(1);
    b.placement.here_done(k, b.now);
    b.placement.finished(k, {.ttft_s = 0.81, .local_s = 0.8}, b.now);  // half as fast as the node says
  }
  CHECK(b.chosen(c, r).predicted_ttft_s == Approx(0.8).epsilon(0.1));
  Bench again;
  REQUIRE(again.placement.load(b.placement.save(), again.now));
  CHECK(again.chosen(c, r).predicted_ttft_s == Approx(0.8).epsilon(0.15));
}

TEST_CASE("a decode node that failed a prompt alone rests, and serves when nothing else can") {
  Bench b;
  const auto c = able(0, 2);
  Candidate k = b.chosen(c, request());
  b.placement.placed(k, b.now);
  b.placement.here_abandoned(k);
  b.placement.failed(k, b.now);
  for (int i = 0; i < 5; ++i) CHECK(b.chosen(c, request()).decode != k.decode);
  Candidate other = b.chosen(c, request());
  b.placement.failed(other, b.now);
  const Placed only = b.decide(c, request());
  CHECK(std::get<Decision>(only).reason == ChoiceReason::cooled_fallback);
}
