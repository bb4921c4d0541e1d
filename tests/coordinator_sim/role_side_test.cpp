// Nodes that change their role in the simulated cluster.
#include "coordinator/sim/role_side.h"

#include <catch2/catch.hpp>

#include "coordinator/sim/experiment.h"
#include "coordinator/sim/report.h"

using namespace sluice;
using namespace sluice::sim;
using nlohmann::json;

namespace {

SimResult run(const json& changes) {
  const auto s = make_scenario(json::object(), changes, 1);
  REQUIRE(s);
  auto p = make_policy("sluice", {.seed = 1});
  auto r = simulate(s->cluster, make_load(s->load), **p);
  REQUIRE(r);
  return std::move(*r);
}

const json kShift{
    {"prefill_nodes", 3}, {"decode_nodes", 1},
    {"link_gbps", 100},   {"requests", 1500},
    {"rate", 8},          {"prompt_mean", 6000},
    {"output_mean", 16},  {"phases", {{{"requests", 4000}, {"rate", 8}, {"prompt_mean", 256}, {"output_mean", 1500}}}}};

}  // namespace

TEST_CASE("a fixed split is the same cluster, whether its machines could change or not") {
  json plain{{"requests", 300}, {"rate", 4}, {"prompt_mean", 2000}};
  json fixed = plain;
  fixed["roles"] = {{"automatic", false}};
  const SimResult a = run(plain);
  const SimResult b = run(fixed);
  CHECK(b.roles.empty());
  CHECK(summarize(a, 4).ttft_mean_s == Approx(summarize(b, 4).ttft_mean_s).epsilon(0.1));
  for (const Outcome& o : b.requests) {
    CHECK(o.prefill < 2);
    CHECK(o.decode >= 2);
  }
}

TEST_CASE("a load that shifts from long prompts to long answers takes prefill nodes along") {
  json moving = kShift;
  moving["roles"] = {{"load_s", 10}};
  json fixed = kShift;
  fixed["roles"] = {{"automatic", false}};
  const SimResult a = run(moving);
  const SimResult b = run(fixed);
  REQUIRE_FALSE(a.roles.empty());
  for (const RoleMove& m : a.roles) CHECK(m.to_decode);
  CHECK(a.roles[0].at_s > 150);  // not before the load did
  CHECK(a.roles[0].done_s >= a.roles[0].at_s + 10);
  CHECK(summarize(a, 4).goodput_per_s > 1.2 * summarize(b, 4).goodput_per_s);
  for (const Outcome& o : a.requests) CHECK((o.ttft_s < 0 || o.e2e_s >= o.ttft_s));
}

TEST_CASE("roles in a scenario are read strictly") {
  CHECK_FALSE(make_scenario(json::object(), {{"roles", {{"automatik", true}}}}, 1));
  CHECK_FALSE(make_scenario(json::object(), {{"phases", {{{"rate", 1}}}}}, 1));
}
