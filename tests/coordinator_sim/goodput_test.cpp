#include "coordinator/sim/goodput.h"

#include <catch2/catch.hpp>

using namespace sluice::sim;
using nlohmann::json;

namespace {

Experiment experiment(const json& base) {
  auto e = parse_experiment({{"base", base},
                             {"scenarios", json::array()},
                             {"policies", json::array()},
                             {"seeds", 3},
                             {"goodput", {{"attainment", 0.9}, {"policies", {"break-even"}}}}});
  REQUIRE(e);
  return *e;
}

double share_at(const Experiment& e, double rate, std::size_t requests) {
  double met = 0;
  for (const auto seed : e.seeds) {
    auto s = make_scenario(e.base, {{"rate", rate}, {"requests", requests}}, seed);
    REQUIRE(s);
    const auto p = make_policy("break-even", {.seed = seed});
    const auto r = simulate(s->cluster, make_load(s->load), **p);
    REQUIRE(r);
    met += summarize(*r, 4).attainment / static_cast<double>(e.seeds.size());
  }
  return met;
}

}  // namespace

TEST_CASE("goodput is the highest rate at which enough requests are in time") {
  const Experiment e = experiment({{"requests", 300}, {"rate", 10}, {"prompt_mean", 4096}, {"slo_ttft_ms", 800}});
  const auto rate = goodput_at(e, json::object(), "break-even", 0.9);
  REQUIRE(rate);
  CHECK(*rate > 10 * kLeastLoad);
  CHECK(*rate < 10 * kMostLoad);
  CHECK(share_at(e, *rate, static_cast<std::size_t>(std::lround(*rate * 30))) >= 0.9);
  CHECK(share_at(e, *rate * 1.1, static_cast<std::size_t>(std::lround(*rate * 33))) < 0.9);
}

TEST_CASE("an objective that nobody can meet leaves no goodput, and one that all meet the most that is tried") {
  const json light{{"requests", 40}, {"rate", 0.4}, {"prompt_mean", 256}};
  json hopeless = light;
  hopeless["slo_ttft_ms"] = 0.01;
  CHECK(*goodput_at(experiment(hopeless), json::object(), "break-even", 0.9) == 0);
  CHECK(*goodput_at(experiment(light), json::object(), "break-even", 0.9) == Approx(0.4 * kMostLoad));
}

TEST_CASE("what an experiment says of goodput is checked") {
  const json base{{"base", json::object()}, {"scenarios", json::array()}, {"policies", json::array()}};
  for (const json& wrong :
       {json(3), json::object(), json{{"policies", {1}}}, json{{"policies", json::array()}, {"attainment", 2}},
        json{{"policies", json::array()}, {"seeds", 0}}, json{{"policies", json::array()}, {"attainmet", 0.9}}}) {
    json j = base;
    j["goodput"] = wrong;
    INFO(wrong);
    CHECK_FALSE(parse_experiment(j));
  }
}
