// Loads whose traces name what prompts have in common.
#include <catch2/catch.hpp>

#include "coordinator/sim/experiment.h"
#include "coordinator/sim/prompt_names.h"
#include "coordinator/sim/report.h"

using namespace sluice;
using namespace sluice::sim;

namespace {

SimRequest prompt(double at_s, std::uint32_t tokens, std::vector<std::uint32_t> blocks) {
  return {.at_s = at_s,
          .prompt_tokens = tokens,
          .output_tokens = 8,
          .prefix_blocks = std::make_shared<const std::vector<std::uint32_t>>(std::move(blocks))};
}

/// Users who each ask again, with what they asked before in front.
Load chats(std::uint32_t users, std::uint32_t turns) {
  Load load;
  for (std::uint32_t turn = 0; turn < turns; ++turn)
    for (std::uint32_t u = 0; u < users; ++u) {
      std::vector<std::uint32_t> blocks;
      for (std::uint32_t i = 0; i < 2 * (turn + 1); ++i) blocks.push_back(1000 * u + i);
      load.push_back(prompt(10.0 * turn + 0.4 * u, 1024 * (turn + 1) + 1, std::move(blocks)));
    }
  return load;
}

SimResult run(const Load& load, bool cache, const nlohmann::json& more = nlohmann::json::object()) {
  nlohmann::json j{{"local_prefill", false}, {"prefix_cache", cache}};
  j.update(more);
  const auto s = make_scenario(j, nlohmann::json::object(), 1);
  REQUIRE(s);
  const auto policy = make_policy("sluice", {});
  REQUIRE(policy);
  auto r = simulate(s->cluster, load, **policy);
  REQUIRE(r);
  return std::move(*r);
}

}  // namespace

TEST_CASE("names of a recorded prompt: those of its blocks, cut into KV blocks") {
  const SimRequest q = prompt(0, 1200, {7, 8, 9});
  const auto names = prompt_names(q, 1199, 16);
  CHECK(names.size() == 74);
  CHECK(prompt_names(q, 100, 16).size() == 6);
  const auto other = prompt_names(prompt(0, 1200, {7, 5}), 1199, 16);
  CHECK(other.size() == 64);
  for (std::size_t i = 0; i < 64; ++i) CHECK((names[i] == other[i]) == (i < 32));
  CHECK(prompt_names({}, 100, 16).empty());
}

TEST_CASE("the oracle has what came before, as far as its blocks reach") {
  CacheOracle all(1000, 16);
  const auto a = prompt_names(prompt(0, 1024, {1, 2}), 1024, 16);
  CHECK(all.arrive(a) == 0);
  CHECK(all.arrive(a) == 1024);
  CHECK(all.arrive(prompt_names(prompt(0, 1024, {1, 3}), 1024, 16)) == 512);
  CacheOracle small(40, 16);
  CHECK(small.arrive(a) == 0);  // larger than all of it
  CHECK(small.arrive(a) == 0);
}

TEST_CASE("chats come back to the node that has them, and start sooner") {
  const Load load = chats(12, 5);
  const nlohmann::json fast{{"link_gbps", 100}};
  const SimResult with = run(load, true, fast);
  const SimResult without = run(load, false, fast);
  const Summary w = summarize(with, 4);
  const Summary o = summarize(without, 4);
  CHECK(w.refused == 0);
  CHECK(w.had > 0.6);
  CHECK(w.had >= 0.9 * w.oracle_had);
  CHECK(o.had == 0);
  CHECK(o.oracle_had == 0);
  CHECK(w.ttft_mean_s < 0.8 * o.ttft_mean_s);
  for (std::size_t i = 0; i < load.size(); ++i) CHECK(with.requests[i].had <= with.requests[i].oracle_had);
}

TEST_CASE("a cache that holds little has little, and everything is answered") {
  const Load load = chats(12, 5);
  const auto s = make_scenario({{"local_prefill", false}}, nlohmann::json::object(), 1);
  REQUIRE(s);
  ClusterSpec spec = s->cluster;
  for (Hardware& h : spec.prefills) h.kv_bytes = 8000.0 * spec.model.kv_bytes_per_token;
  const auto policy = make_policy("sluice", {});
  REQUIRE(policy);
  const auto r = simulate(spec, load, **policy);
  REQUIRE(r);
  const Summary small = summarize(*r, 4);
  CHECK(small.refused == 0);
  CHECK(small.had < 0.5);
}

TEST_CASE("loads without names are what they were") {
  LoadSpec l;
  l.requests = 300;
  l.rate = 4;
  const Load load = make_load(l);
  const SimResult a = run(load, true);
  const SimResult b = run(load, false);
  for (std::size_t i = 0; i < load.size(); ++i) CHECK(a.requests[i].ttft_s == b.requests[i].ttft_s);
}
