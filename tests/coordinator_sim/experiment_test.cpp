#include "coordinator/sim/experiment.h"

#include <catch2/catch.hpp>

using namespace sluice::sim;
using nlohmann::json;

TEST_CASE("a scenario changes the base, and an unknown field is refused by name") {
  const auto s = make_scenario({{"link_gbps", 10}, {"prefill_nodes", 3}}, {{"name", "x"}, {"link_gbps", 1}}, 4);
  REQUIRE(s);
  CHECK(s->cluster.link_bps == Approx(1e9 / 8));
  CHECK(s->cluster.prefills.size() == 3);
  const auto wrong = make_scenario(json::object(), {{"link_gpbs", 1}}, 1);
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message.find("link_gpbs") != std::string::npos);
  CHECK_FALSE(make_scenario(json::object(), {{"rate", "fast"}}, 1));
  CHECK_FALSE(make_scenario(json::object(), {{"link_steps", {{1, "x"}}}}, 1));
}

// Most of these made a run endless, or one that said nothing; others were not heard, or thrown.
TEST_CASE("a field that no run can have is refused by name, with what is allowed") {
  for (const auto& [field, wrong] : std::vector<std::pair<std::string, json>>{{"telemetry_s", 0},
                                                                              {"telemetry_s", -1},
                                                                              {"rate", 0},
                                                                              {"rate", "fast"},
                                                                              {"link_gbps", 0},
                                                                              {"liar_factor", 0},
                                                                              {"max_batch_tokens", 0},
                                                                              {"prefill_chunk", 0},
                                                                              {"prefill_chunk", 0.5},
                                                                              {"prefill_nodes", 1e5},
                                                                              {"requests", 1e11},
                                                                              {"requests", 0},
                                                                              {"link_steps", 4},
                                                                              {"slow_first_prefill", {{0, 0}}},
                                                                              {"jitter", 4},
                                                                              {"jitter", {{"low", "x"}}},
                                                                              {"jitter", {{"every_s", 0}}},
                                                                              {"jitter", {{"evry_s", 1}}},
                                                                              {"overlap", 1},
                                                                              {"model", 8}}) {
    INFO(field << " " << wrong);
    const auto r = make_scenario(json::object(), {{field, wrong}}, 1);
    REQUIRE_FALSE(r);
    CHECK(r.error().message.find("'" + field) != std::string::npos);
  }
  const auto rate = make_scenario(json::object(), {{"rate", -2}}, 1);
  CHECK(rate.error().message == "the experiment: 'rate' must be a number from 1e-06 to 1e+09, not -2");
  const json experiment{{"base", json::object()}, {"scenarios", json::array()}, {"policies", json::array()}};
  CHECK(parse_experiment(experiment));
  for (const auto& [field, wrong] :
       {std::pair{"seeds", json("many")}, {"seeds", json(0)}, {"interval_s", json(-1)}, {"interval_s", json("x")}}) {
    json j = experiment;
    j[field] = wrong;
    const auto r = parse_experiment(j);
    REQUIRE_FALSE(r);
    CHECK(r.error().message.find(field) != std::string::npos);
  }
}

TEST_CASE("confidence intervals follow Student's t") {
  const Spread s = spread_of({1, 2, 3});
  CHECK(s.mean == Approx(2));
  CHECK(s.half_width == Approx(4.303 / std::sqrt(3.0)));
  CHECK(spread_of({5}).half_width == 0);
}

TEST_CASE("an experiment runs every policy and every static profile within the budget") {
  const auto e = parse_experiment({{"base", {{"requests", 60}, {"rate", 4}, {"quality_kl", 0.001}}},
                                   {"scenarios", {{{"name", "steady"}}}},
                                   {"policies", {"sluice", "kvserve"}},
                                   {"seeds", 2}});
  REQUIRE(e);
  int told = 0;
  const auto r = run_experiment(*e, [&](const std::string&) { ++told; });
  REQUIRE(r);
  CHECK(told == 2);
  const auto& policies = (*r)["scenarios"][0]["policies"];
  CHECK(policies.size() == 4);  // two, and raw and int8
  CHECK(policies["static:raw"]["over_best_static"]["mean"].get<double>() >= 0);
  CHECK(policies["sluice"]["ttft_mean_ms"]["mean"].get<double>() > 0);
}
