#include "coordinator/policy/placement.h"

#include <catch2/catch.hpp>

#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;

namespace {

struct Bench {
  Placement placement{{.explore_share = 0}};
  TimePoint now{};
  Placed decide(const ClusterSnapshot& c, const RequestFeatures& r, double deadline = 60) {
    return placement.decide(c, r, deadline, now);
  }
};

Decision decision(const Placed& p) {
  REQUIRE(std::holds_alternative<Decision>(p));
  return std::get<Decision>(p);
}
Refusal refusal(const Placed& p) {
  REQUIRE(std::holds_alternative<Refusal>(p));
  return std::get<Refusal>(p);
}

}  // namespace

TEST_CASE("a slow link is answered with compression, a fast one without") {
  Bench b;
  auto c = test::cluster(1, 1);
  c.links[0].bandwidth_bps = 50e6;
  CHECK(decision(b.decide(c, test::request())).chosen.profile == 2);
  c.links[0].bandwidth_bps = 100e9;
  CHECK(decision(b.decide(c, test::request())).chosen.profile == 0);
}

TEST_CASE("the quality budget is a hard constraint") {
  Bench b;
  auto c = test::cluster(1, 1);
  c.links[0].bandwidth_bps = 1e6;  // compression would win by far
  auto r = test::request();
  r.ttft_slo_s = 1e4;
  r.quality_budget = 0.01;
  CHECK(decision(b.decide(c, r, 1e4)).chosen.profile == 1);
  r.quality_budget = 0;
  CHECK(decision(b.decide(c, r, 1e4)).chosen.profile == 0);
  for (auto& p : c.profiles) p.kl = 1;
  const Placed none = b.decide(c, r, 1e4);
  CHECK(refusal(none).error.param == "sluice.quality_budget");
}

TEST_CASE("quality first: loss is taken only where an objective needs it") {
  Bench b;
  auto c = test::cluster(1, 1);
  c.links[0].bandwidth_bps = 50e6;  // compression is faster by far
  auto r = test::request();
  const double fastest = decision(b.decide(c, r)).chosen.predicted_ttft_s;
  r.objective = Objective::quality;

  r.ttft_slo_s = 1e3;
  CHECK(decision(b.decide(c, r, 1e3)).chosen.profile == 0);
  CHECK(b.placement.preview(c, r, b.now)->profile == 0);

  r.ttft_slo_s = 2 * fastest;
  const Candidate needed = decision(b.decide(c, r)).chosen;
  CHECK(needed.profile != 0);
  CHECK(needed.predicted_ttft_s <= r.ttft_slo_s);

  r.ttft_slo_s = 0.5 * fastest;  // out of reach: as fast as can be
  CHECK(decision(b.decide(c, r)).chosen.predicted_ttft_s == Approx(fastest));

  r.ttft_slo_s = 100 * fastest;
  CHECK(decision(b.decide(c, r, 1e4)).chosen.profile == 0);
  r.waited_s = 98 * fastest;  // and what it waited counts
  CHECK(decision(b.decide(c, r, 1e4)).chosen.profile != 0);
}

TEST_CASE("quality first: the surer an objective is to be met, the more margin is kept") {
  Bench b;
  auto c = test::cluster(1, 1);
  c.links[0].bandwidth_bps = 50e6;
  auto r = test::request();
  r.profile = c.profiles[0].name;
  const double lossless = decision(b.decide(c, r)).chosen.predicted_ttft_s;
  r.profile.reset();
  r.objective = Objective::quality;
  r.ttft_slo_s = 1.02 * lossless;
  r.attainment = 0.5;
  CHECK(decision(b.decide(c, r)).chosen.profile == 0);
  r.attainment = 0.999;
  CHECK(decision(b.decide(c, r)).chosen.profile != 0);
}

TEST_CASE("a pinned profile is taken as it is, an unknown one refused by name") {
  Bench b;
  const auto c = test::cluster(1, 1);
  auto r = test::request();
  r.profile = "h4";
  r.quality_budget = 0;  // the user's pin stands above the default budget
  CHECK(decision(b.decide(c, r)).chosen.profile == 2);
  r.profile = "nope";
  const Placed none = b.decide(c, r);
  CHECK(refusal(none).error.code == Errc::not_found);
  CHECK(refusal(none).error.param == "sluice.profile");
}

TEST_CASE("work goes to the free prefill node and the free decode node") {
  Bench b;
  auto c = test::cluster(2, 2);
  c.prefills[0].queued_tokens = 100000;
  c.decodes[1].seqs = 40;
  const Decision d = decision(b.decide(c, test::request()));
  CHECK(d.chosen.prefill == 1);
  CHECK(d.chosen.decode == 0);
  CHECK(d.considered == 12);
}

TEST_CASE("nodes that are down or draining are not used") {
  Bench b;
  auto c = test::cluster(2, 2);
  c.prefills[1].usable = false;
  c.decodes[0].usable = false;
  const Decision d = decision(b.decide(c, test::request()));
  CHECK(d.chosen.prefill == 0);
  CHECK(d.chosen.decode == 1);
  c.prefills[0].usable = false;
  const Placed none = b.decide(c, test::request());
  CHECK(refusal(none).error.code == Errc::unavailable);
}

TEST_CASE("full decode nodes make a request wait, too small ones refuse it") {
  Bench b;
  auto c = test::cluster(1, 2);
  const auto r = test::request();
  for (auto& d : c.decodes) d.free_blocks = blocks_needed(r, 16) - 1;
  CHECK(std::holds_alternative<Wait>(b.decide(c, r)));
  c.decodes[1].free_blocks = blocks_needed(r, 16);
  CHECK(decision(b.decide(c, r)).chosen.decode == 1);
  c.decodes[1].seqs = c.decodes[1].max_seqs;
  CHECK(std::holds_alternative<Wait>(b.decide(c, r)));
  for (auto& d : c.decodes) d.total_blocks = d.free_blocks = 100;
  const Placed none = b.decide(c, r);
  CHECK(refusal(none).error.code == Errc::invalid_argument);
  CHECK(refusal(none).retry_after_s == 0);
}

TEST_CASE("what cannot start before its deadline is refused with a time to retry") {
  Bench b;
  auto c = test::cluster(1, 1);
  c.prefills[0].queued_tokens = 300000;  // 30 s of work
  const Placed late = b.decide(c, test::request(), 5);
  CHECK(refusal(late).error.code == Errc::resource_exhausted);
  CHECK(refusal(late).retry_after_s >= 25);
  auto waited = test::request();
  waited.waited_s = 4.9;
  c.prefills[0].queued_tokens = 0;
  CHECK(std::holds_alternative<Refusal>(b.decide(c, waited, 5)));
}

TEST_CASE("a pair on which a request failed rests; when all rest the best still serves") {
  Bench b;
  auto c = test::cluster(1, 2);
  b.now = TimePoint{std::chrono::seconds(1000)};
  const Decision first = decision(b.decide(c, test::request()));
  b.placement.failed(first.chosen, b.now);
  const Decision second = decision(b.decide(c, test::request()));
  CHECK(second.chosen.decode != first.chosen.decode);
  b.placement.failed(second.chosen, b.now);
  CHECK(decision(b.decide(c, test::request())).reason == ChoiceReason::cooled_fallback);
  b.now += std::chrono::seconds(6);
  CHECK(decision(b.decide(c, test::request())).reason == ChoiceReason::best);
}

TEST_CASE("missing the TPOT objective outweighs a faster start") {
  Bench b;
  auto c = test::cluster(1, 2);
  c.links[0].bandwidth_bps = 4e9;
  CHECK(decision(b.decide(c, test::request())).chosen.decode == 0);
  c.decodes[0].step_s = 0.2;
  CHECK(decision(b.decide(c, test::request())).chosen.decode == 1);
}

TEST_CASE("equal times go to the better quality") {
  Bench b;
  auto c = test::cluster(1, 1);
  c.prefills[0].tokens_per_s = 100;  // prefill hides every profile
  for (auto& p : c.profiles) p.kl += 0.001;
  c.profiles[1].kl = 0;
  CHECK(decision(b.decide(c, test::request())).chosen.profile == 1);
}

TEST_CASE("a large cluster is cut to those that can begin soonest, and nobody is out of sight") {
  Bench b;
  auto c = test::cluster(60, 40);
  for (std::size_t i = 0; i < 60; ++i) c.prefills[i].queued_tokens = i == 47 ? 0 : 50000;
  for (std::size_t i = 0; i < 40; ++i) c.decodes[i].seqs = i == 31 ? 0 : 40;
  const Decision d = decision(b.decide(c, test::request()));
  CHECK(d.chosen.prefill == 47);
  CHECK(d.chosen.decode == 31);
  CHECK(d.considered == CandidateTable::kNodes * CandidateTable::kNodes * 3);
}

TEST_CASE("every column of the table says what the model says of one candidate") {
  Bench b;
  auto c = test::cluster(3, 4);
  for (std::size_t i = 0; i < c.links.size(); ++i) c.links[i] = {1e8 * static_cast<double>(i + 1), 1e-4, 1000 * i};
  for (std::size_t i = 0; i < 3; ++i) c.prefills[i].queued_tokens = 1000 * i;
  c.prefills[0].pass_tokens = 2048;  // states how its KV leaves
  c.prefills[0].chunk_tokens = 512;
  c.prefills[0].frame_kib = 1024;
  // decide() predicts the winner a second time, in doubles; what it was chosen for must be the same figure.
  Directory names;
  LatencyModel model(names);
  names.bind(c);
  model.grow(c);
  double least = 1e9;
  for (std::size_t p = 0; p < 3; ++p)
    for (std::size_t d = 0; d < 4; ++d)
      for (std::size_t f = 0; f < 3; ++f) {
        Candidate k{.prefill = p, .decode = d, .profile = f};
        model.predict(c, test::request(), b.now, k);
        least = std::min(least, k.model_ttft_s);
      }
  CHECK(decision(b.decide(c, test::request())).chosen.predicted_ttft_s ==
        Approx(least).epsilon(ControllerOptions{}.tie_share));
}

// Prompts went to prefill nodes that could never hold them, and their clients were told that the request was wrong.
TEST_CASE("a prompt goes only to a prefill node whose KV memory can hold it") {
  Bench b;
  auto c = test::cluster(2, 1);
  c.prefills[0].total_tokens = 512;
  c.prefills[1].total_tokens = 8192;
  c.prefills[1].queued_tokens = 100'000;                                      // the free one would be preferred
  CHECK(decision(b.decide(c, test::request(513), 600)).chosen.prefill == 0);  // the last token is computed elsewhere
  CHECK(decision(b.decide(c, test::request(1200), 600)).chosen.prefill == 1);
  const Placed none = b.decide(c, test::request(9000), 600);
  CHECK(refusal(none).error.code == Errc::invalid_argument);
  CHECK_THAT(refusal(none).error.message, Catch::Contains("8192"));
  c.prefills[1].usable = false;
  CHECK(refusal(b.decide(c, test::request(1200), 600)).error.code == Errc::invalid_argument);
}

TEST_CASE("exploration never spends a request that must not be explored on") {
  Placement placement{{.explore_share = 1}};
  const auto c = test::cluster(2, 2);
  auto r = test::request();
  r.may_explore = false;
  for (int i = 0; i < 50; ++i) CHECK(decision(placement.decide(c, r, 60, TimePoint{})).reason == ChoiceReason::best);
  r.may_explore = true;
  bool explored = false;
  for (int i = 0; i < 50; ++i)
    explored |= decision(placement.decide(c, r, 60, TimePoint{})).reason == ChoiceReason::explore;
  CHECK(explored);
}

TEST_CASE("a candidate pays for the delay it causes to those after it") {
  // Alone, bytes cost their own time only: the wire is hidden behind computation.
  Bench b;
  auto c = test::cluster(1, 1);
  c.links[0].bandwidth_bps = 1.4e9;
  b.now += std::chrono::seconds(1000);
  CHECK(decision(b.decide(c, test::request())).chosen.profile == 0);
  // Behind each other on the link, everyone waits for everyone's bytes.
  auto out = decision(b.decide(c, test::request()));
  for (int i = 0; i < 60; ++i) {
    b.now += std::chrono::milliseconds(300);
    Candidate k = out.chosen;
    b.placement.placed(k, b.now);
  }
  CHECK(decision(b.decide(c, test::request())).chosen.profile == 2);
}
