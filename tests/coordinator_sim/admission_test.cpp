// The daemons' admission, in a simulated cluster that has too little room.
#include <catch2/catch.hpp>
#include <cmath>

#include "coordinator/sim/experiment.h"

using namespace sluice;
using namespace sluice::sim;
using nlohmann::json;

namespace {

/// One small decode node: 40,000 tokens of KV.
SimResult run(json changes, std::uint64_t seed = 1) {
  json j{{"requests", 2000}, {"prompt_mean", 1000}, {"link_gbps", 100}, {"decode_nodes", 1}, {"max_wait_s", 5}};
  j.merge_patch(changes);
  auto s = make_scenario({{"local_prefill", false}}, j, seed);
  REQUIRE(s);
  for (Hardware& h : s->cluster.decodes) h.kv_bytes = 40000 * s->cluster.model.kv_bytes_per_token;
  auto p = make_policy("static:int4", {.seed = seed});
  REQUIRE(p);
  auto r = simulate(s->cluster, make_load(s->load), **p);
  REQUIRE(r);
  return std::move(*r);
}

double served(const SimResult& r) {
  return static_cast<double>(std::ranges::count_if(r.requests, [](const Outcome& o) { return o.ttft_s >= 0; }));
}

double rejected(const SimResult& r) {
  return static_cast<double>(std::ranges::count_if(r.requests, &Outcome::rejected));
}

const json kOverload{{"rate", 40}, {"output_mean", 200}};

}  // namespace

TEST_CASE("who would wait in vain is refused at once, and no room is lost by it") {
  const SimResult with = run(kOverload);
  json off = kOverload;
  off["admission"] = false;
  const SimResult without = run(off);
  CHECK(rejected(without) == 0);
  CHECK(served(without) < 0.8 * 2000);
  // All but a few of those that were refused anyway hear of it early.
  CHECK(rejected(with) > 0.7 * (2000 - served(with)));
  CHECK(served(with) > 0.95 * served(without));
  for (const Outcome& o : with.requests)
    if (o.rejected) REQUIRE(o.ttft_s < 0);
}

TEST_CASE("under a steady overload as many are taken in one second as in another") {
  const SimResult r = run(kOverload);
  std::vector<double> taken;
  for (const Outcome& o : r.requests) {
    taken.resize(std::max<std::size_t>(taken.size(), static_cast<std::size_t>(o.at_s / 2) + 1));
    taken[static_cast<std::size_t>(o.at_s / 2)] += o.ttft_s >= 0 ? 1 : 0;
  }
  double mean = 0;
  double square = 0;
  double n = 0;
  for (std::size_t i = 5; i + 1 < taken.size(); ++i, ++n) {
    mean += taken[i];
    square += taken[i] * taken[i];
  }
  mean /= n;
  REQUIRE(n > 10);
  CHECK(std::sqrt(std::max(square / n - mean * mean, 0.0)) / mean < 0.35);
}

TEST_CASE("with room for all nobody is refused") {
  const SimResult r = run({{"rate", 4}, {"requests", 500}});
  CHECK(served(r) == 500);
  CHECK(rejected(r) == 0);
}

// The forecast wanted room for all who wait at once: of a burst longer than the node's memory, half were refused that
// would have started in time.
TEST_CASE("a long queue of short answers is worth waiting in") {
  const json burst{{"rate", 400},     {"output_mean", 8}, {"output_spread", 0},
                   {"requests", 300}, {"max_wait_s", 30}, {"prefill_nodes", 10}};
  json off = burst;
  off["admission"] = false;
  REQUIRE(served(run(off)) == 300);
  CHECK(rejected(run(burst)) < 10);
}

TEST_CASE("a bound on TPOT refuses what would be decoded slower, and only that") {
  json j{{"rate", 12}, {"requests", 800}, {"output_mean", 200}};
  const SimResult free = run(j);
  std::vector<float> tpot;
  for (const Outcome& o : free.requests)
    if (o.tpot_s > 0) tpot.push_back(o.tpot_s);
  std::ranges::sort(tpot);
  const double bound = tpot[tpot.size() / 2];
  j["max_tpot_ms"] = bound * 1e3;
  const SimResult bounded = run(j);
  CHECK(rejected(bounded) > rejected(free));
  double slower = 0;
  for (const Outcome& o : bounded.requests) slower += o.tpot_s > 1.1 * bound ? 1 : 0;
  CHECK(slower < 0.1 * served(bounded));
  j["max_tpot_ms"] = 1e3;
  CHECK(rejected(run(j)) == rejected(free));
}

TEST_CASE("more requests than may wait are refused") {
  json j = kOverload;
  j["max_wait_s"] = 600;
  j["max_waiting"] = 2000;
  CHECK(rejected(run(j)) == 0);
  j["max_waiting"] = 10;
  CHECK(rejected(run(j)) > 100);
}

TEST_CASE("the same seed refuses the same requests") {
  const SimResult a = run(kOverload);
  const SimResult b = run(kOverload);
  CHECK(a.end_s == b.end_s);
  for (std::size_t i = 0; i < a.requests.size(); ++i) CHECK(a.requests[i].rejected == b.requests[i].rejected);
}

TEST_CASE("in an experiment nobody is refused early unless it says so") {
  json e{{"base", json::object()}, {"scenarios", json::array()}, {"policies", json::array()}};
  CHECK(parse_experiment(e)->base["admission"] == false);
  e["base"]["admission"] = true;
  CHECK(parse_experiment(e)->base["admission"] == true);
}
