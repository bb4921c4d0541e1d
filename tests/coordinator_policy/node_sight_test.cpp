// No node starves. A decode node that was slow for 15 s got none of the next 3,000 requests: what was learned of it
// only requests would have renewed, and it got none. On another cluster one of two equal nodes got all of 1,000.
#include "coordinator/policy/node_sight.h"

#include <catch2/catch.hpp>
#include <numeric>

#include "coordinator/policy/placement.h"
#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;

namespace {

/// Serves one request after another; nodes take as long as the test says.
struct Cluster {
  ClusterSnapshot c;
  Placement placement{ControllerOptions{}};
  TimePoint now{std::chrono::hours(1)};
  FastRandom noise{7};
  double spread = 0.05;
  std::vector<double> slow_prefill, slow_decode;  // by node
  std::vector<int> prefills, decodes;             // requests so far

  Cluster(std::size_t p, std::size_t d)
      : c(test::cluster(p, d)), slow_prefill(p, 1), slow_decode(d, 1), prefills(p), decodes(d) {}

  double vary(double s) { return s * std::exp(spread * noise.normal()); }
  void serve(int requests, double every_s) {
    const auto r = test::request(1024, 32);
    for (int i = 0; i < requests; ++i) {
      const Placed placed = placement.decide(c, r, 60, now);
      REQUIRE(std::holds_alternative<Decision>(placed));
      Candidate k = std::get<Decision>(placed).chosen;
      placement.placed(k, now);
      ++prefills[k.prefill];
      ++decodes[k.decode];
      Measured m;
      m.compute_s = vary(0.1 * slow_prefill[k.prefill]);
      m.encode_s = vary(k.stages.encode_s);
      m.exposed_s = m.wire_s = vary(k.stages.wire_s);
      m.decode_s = vary(k.stages.decode_s);
      m.first_step_s = vary(0.01 * slow_decode[k.decode]);
      m.tpot_s = vary(0.01 * slow_decode[k.decode]);
      m.raw_bytes = k.raw_bytes;
      m.wire_bytes = k.wire_bytes;
      m.output_tokens = 32;
      m.seqs = 1;
      m.ttft_s = m.compute_s + m.exposed_s + m.first_step_s + 0.001;
      now += from_seconds(m.ttft_s);
      placement.prefill_done(k, m, now);
      placement.finished(k, m, now);
      now += from_seconds(every_s);
    }
  }
  void forget() {
    std::ranges::fill(prefills, 0);
    std::ranges::fill(decodes, 0);
  }
};

}  // namespace

TEST_CASE("a decode node that was slow for a while is found fast again and gets its share") {
  Cluster k(2, 2);
  k.serve(200, 0.05);
  k.slow_decode[1] = 10;
  k.serve(300, 0.05);
  k.slow_decode[1] = 1;
  k.forget();
  k.serve(1000, 0.05);
  CHECK(k.decodes[1] >= 250);
  k.forget();
  k.serve(1000, 0.05);
  CHECK(k.decodes[1] >= 350);
}

TEST_CASE("a prefill node that was slow for a while is found fast again and gets its share") {
  Cluster k(2, 1);
  k.serve(200, 0.05);
  k.slow_prefill[0] = 10;
  k.serve(300, 0.05);
  k.slow_prefill[0] = 1;
  k.forget();
  k.serve(1500, 0.05);
  CHECK(k.prefills[0] >= 300);
}

TEST_CASE("a node that stays slow gets few requests, but it does get some") {
  Cluster k(1, 2);
  k.slow_decode[1] = 10;
  k.serve(2000, 0.05);
  CHECK(k.decodes[1] >= 5);
  CHECK(k.decodes[1] <= 200);
}

TEST_CASE("equal nodes share evenly") {
  for (const double spread : {0.0, 0.05, 0.2}) {
    CAPTURE(spread);
    Cluster k(2, 2);
    k.spread = spread;
    k.serve(1000, 0.05);
    const int least = spread < 0.1 ? 400 : 200;  // times that differ by a fifth tell little
    for (const int n : k.prefills) CHECK(n >= least);
    for (const int n : k.decodes) CHECK(n >= least);
  }
  Cluster many(4, 8);
  many.serve(2000, 0.02);
  for (const int n : many.prefills) CHECK(n >= 250);
  for (const int n : many.decodes) CHECK(n >= 125);
}

TEST_CASE("a node is overdue by time and by decisions, and only while it is listed") {
  NodeSight s;
  s.grow(3);
  const std::vector<Slot> slots{0, 1, 2};
  const std::vector<std::size_t> both{0, 1};
  TimePoint t{std::chrono::hours(1)};
  CHECK_FALSE(s.overdue(both, slots, t));
  for (int i = 0; i < 100; ++i) s.chosen(0, t);
  CHECK_FALSE(s.overdue(both, slots, t));  // many decisions, no time
  t += std::chrono::seconds(21);
  CHECK(s.overdue(both, slots, t) == 1U);
  const std::vector<std::size_t> all{0, 1, 2};
  CHECK(s.overdue(all, slots, t) == 1U);  // 2 is new
  s.chosen(1, t);
  CHECK_FALSE(s.overdue(both, slots, t));
  t += std::chrono::minutes(5);
  CHECK_FALSE(s.overdue(both, slots, t));  // time, no decisions
}

TEST_CASE("of hundreds of nodes few decisions go to one for being out of sight") {
  // Each node is idle for longer than kSeconds: at ten decisions a second, 500 nodes get one every 50 s.
  Cluster k(500, 2);
  const auto r = test::request(1024, 32);
  int explored = 0;
  for (int i = 0; i < 4000; ++i) {
    const Placed placed = k.placement.decide(k.c, r, 60, k.now);
    REQUIRE(std::holds_alternative<Decision>(placed));
    const auto& d = std::get<Decision>(placed);
    explored += d.reason == ChoiceReason::explore ? 1 : 0;
    Candidate chosen = d.chosen;
    k.placement.placed(chosen, k.now);
    k.now += std::chrono::milliseconds(100);
  }
  CAPTURE(explored);
  CHECK(explored <= 4000 / 8);  // 1 in kDecisions, and what exploration takes besides
}
