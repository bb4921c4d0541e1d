// Placement where nodes have parts of prompts from earlier ones.
#include <catch2/catch.hpp>

#include "coordinator/policy/placement.h"
#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;

namespace {

ControllerOptions greedy() {
  ControllerOptions o;
  o.explore_share = 0;
  return o;
}

struct Bench {
  Placement placement{greedy()};
  TimePoint now{std::chrono::seconds(100)};

  Candidate decide(const ClusterSnapshot& c, const RequestFeatures& r) {
    const Placed p = placement.decide(c, r, 600, now);
    REQUIRE(std::holds_alternative<Decision>(p));
    return std::get<Decision>(p).chosen;
  }
};

RequestFeatures with(const PrefixHits& hits, std::uint32_t prompt = 4097) {
  RequestFeatures r = test::request(prompt);
  r.hits = &hits;
  return r;
}

}  // namespace

TEST_CASE("a prompt goes where most of it was computed before, unless the queue there is longer") {
  Bench b;
  auto c = test::cluster(3, 1);
  for (LinkState& l : c.links) l.bandwidth_bps = 100e9;  // so that it is the computation that counts
  const PrefixHits hits{.prefill = {0, 3200, 1600}};
  Candidate k = b.decide(c, with(hits));
  CHECK(k.prefill == 1);
  CHECK(k.had == 3200);
  CHECK(k.tokens == 4096);  // all of its KV travels
  // 10,000 tokens a second: it computes the rest alone.
  CHECK(k.stages.prefill_s == Approx(0.0896).epsilon(0.05));

  c.prefills[1].queued_tokens = 1000;  // still shorter than what the next one has to compute more
  CHECK(b.decide(c, with(hits)).prefill == 1);
  c.prefills[1].queued_tokens = 2500;
  k = b.decide(c, with(hits));
  CHECK(k.prefill == 2);
  CHECK(k.had == 1600);
  c.prefills[1].queued_tokens = c.prefills[2].queued_tokens = 5000;
  CHECK(b.decide(c, with(hits)).prefill == 0);
}

TEST_CASE("a hit is no longer than what the prefill node is asked for") {
  Bench b;
  const auto c = test::cluster(1, 1);
  const PrefixHits all{.prefill = {8192}};
  const Candidate k = b.decide(c, with(all));
  CHECK(k.had == 4096);
  CHECK(k.stages.prefill_s == 0);
  CHECK(k.overlap.head == 0);
  CHECK(k.overlap.tail == 0);
  const PrefixHits none;
  const Candidate cold = b.decide(c, with(none));
  CHECK(cold.had == 0);
  CHECK(cold.predicted_ttft_s > k.predicted_ttft_s + 0.1);
}

TEST_CASE("where the transfer takes all the time, what a node has is not computed elsewhere to share") {
  Bench b;
  auto c = test::cluster(2, 1);
  for (LinkState& l : c.links) l.bandwidth_bps = 1e8;
  const PrefixHits hits{.prefill = {0, 3200}};
  for (int i = 0; i < 10; ++i) {
    Candidate k = b.decide(c, with(hits));
    CHECK(k.prefill == 1);
    b.placement.placed(k, b.now);
    b.placement.prefill_done(k, {.compute_s = 0.1, .had_tokens = 3200, .exposed_s = 0.01}, b.now);
    b.now += std::chrono::seconds(60);
  }
}

TEST_CASE("what a node had teaches nothing of how fast it computes") {
  Bench cold;
  Bench warm;
  const auto c = test::cluster(1, 1);
  const PrefixHits hits{.prefill = {3072}};
  // 5,000 tokens a second, whatever the table says.
  const auto serve = [&](Bench& b, const RequestFeatures& r, double had) {
    Candidate k = b.decide(c, r);
    b.placement.placed(k, b.now);
    const double compute = (k.tokens - had) / 5000;
    b.now += from_seconds(compute + 0.1);
    const Measured m{.compute_s = compute, .had_tokens = had, .exposed_s = 0.1, .raw_bytes = k.raw_bytes};
    b.placement.prefill_done(k, m, b.now);
    b.now += std::chrono::seconds(1);
  };
  for (int i = 0; i < 30; ++i) {
    serve(cold, test::request(4097), 0);
    serve(warm, with(hits), 3072);
  }
  CHECK(cold.decide(c, test::request(4097)).stages.prefill_s == Approx(4096.0 / 5000).epsilon(0.1));
  CHECK(warm.decide(c, with(hits)).stages.prefill_s == Approx(1024.0 / 5000).epsilon(0.1));
}

TEST_CASE("nodes that are alike share prompts that nobody has") {
  Bench b;
  const auto c = test::cluster(2, 1);
  const PrefixHits none{.prefill = {0, 0}};
  std::size_t first = 0;
  for (int i = 0; i < 20; ++i) {
    Candidate k = b.decide(c, with(none));
    b.placement.placed(k, b.now);
    b.placement.prefill_done(k, {.compute_s = 0.4, .exposed_s = 0.01}, b.now + std::chrono::milliseconds(410));
    first += k.prefill == 0 ? 1 : 0;
    b.now += std::chrono::seconds(5);
  }
  CHECK(first == 10);
}
