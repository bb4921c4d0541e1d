// Prompts computed where they are decoded, in the simulator: what they take, what they cost others, and when they are
// chosen.
#include <catch2/catch.hpp>

#include "coordinator/sim/experiment.h"

using namespace sluice;
using namespace sluice::sim;
using nlohmann::json;

namespace {

Scenario scenario(const json& changes, std::uint64_t seed = 1) {
  auto s = make_scenario(json::object(), changes, seed);
  REQUIRE(s);
  return std::move(*s);
}

SimResult run(const Scenario& s, const Load& load, const std::string& policy) {
  auto p = make_policy(policy, {});
  REQUIRE(p);
  auto r = simulate(s.cluster, load, **p);
  REQUIRE(r);
  return std::move(*r);
}

}  // namespace

TEST_CASE("a prompt alone takes its chunks' passes on the decode node, and no KV travels") {
  const Scenario s = scenario({{"spread", 0}, {"decode_nodes", 1}});
  const auto r = run(s, {{0, 1024, 4}}, "sluice-local");
  const auto& h = s.cluster.decodes[0];
  const auto& m = s.cluster.model;
  const double compute = pass_seconds(h, m, 512, 512 * 256, 0) + pass_seconds(h, m, 512, 512 * 768, 512);
  const Outcome& o = r.requests[0];
  CHECK(o.ttft_s == Approx(compute).margin(0.002));
  CHECK(o.local);
  CHECK(o.wire_bytes == 0);
  CHECK(o.kl == 0);
}

TEST_CASE("who decodes beside a prompt's chunks waits for them, one chunk a step") {
  const Scenario s = scenario({{"spread", 0}, {"decode_nodes", 1}});
  const auto alone = run(s, {{0, 16, 100}}, "sluice-local");
  const auto beside = run(s, {{0, 16, 100}, {0.1, 4096, 1}, {0.1, 4096, 1}}, "sluice-local");
  const auto& m = s.cluster.model;
  const double chunk_s = pass_seconds(s.cluster.decodes[0], m, 512, 512 * 256, 0);
  const double longer = 99 * (beside.requests[0].tpot_s - alone.requests[0].tpot_s);
  CHECK(longer > 0.7 * 16 * chunk_s - 16 * alone.requests[0].tpot_s);
  CHECK(longer < 1.5 * 16 * chunk_s);
}

TEST_CASE("where prefill nodes bind, decode nodes take prompts over, and more requests are in time") {
  const Scenario s = scenario({{"prefill_nodes", 1},
                               {"decode_nodes", 3},
                               {"link_gbps", 25},
                               {"rate", 8},
                               {"prompt_mean", 4096},
                               {"prompt_spread", 0.6},
                               {"requests", 600},
                               {"objective", "latency"}});
  const Load load = make_load(s.load);
  const auto sum = [&](const std::string& policy) { return summarize(run(s, load, policy), 4); };
  const Summary free = sum("sluice");
  const Summary split = sum("sluice-split");
  CHECK(free.local > 0.1);
  CHECK(split.local == 0);
  CHECK(free.attainment > split.attainment + 0.1);
  CHECK(free.ttft_mean_s < 0.7 * split.ttft_mean_s);
}

TEST_CASE("clusters whose decode nodes compute no prompts never do") {
  const Scenario s = scenario({{"prefill_nodes", 1}, {"local_prefill", false}, {"requests", 200}});
  CHECK(summarize(run(s, make_load(s.load), "sluice"), 3).local == 0);
}
