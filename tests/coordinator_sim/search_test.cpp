#include "coordinator/sim/search.h"

#include <catch2/catch.hpp>

#include "coordinator/sim/experiment.h"

using namespace sluice;
using namespace sluice::sim;
using nlohmann::json;

namespace {

SearchSpec spec(const json& changes) {
  const auto s = make_scenario({{"spread", 0}, {"link_gbps", 100}, {"local_prefill", false}}, changes, 1);
  REQUIRE(s);
  SearchSpec out{.base = s->cluster};
  const LoadSpec load = s->load;
  out.load = [load](double rate, std::size_t requests) {
    LoadSpec at = load;
    at.rate = rate;
    at.requests = requests;
    return make_load(at);
  };
  out.offers = {{*find_hardware("h100"), 1}};
  out.nodes = 4;
  out.duration_s = 10;
  out.least_requests = 100;
  return out;
}

void quiet(const std::string&) {}

}  // namespace

TEST_CASE("bracketing finds the highest value that holds, from below and from above") {
  for (const double limit : {0.013, 1.0, 700.0}) {
    int asked = 0;
    const double x = highest(1, 1.05, [&](double v) {
      ++asked;
      return v <= limit;
    });
    CHECK(x <= limit);
    CHECK(x > limit / 1.05);
    CHECK(asked < 20);
  }
  CHECK(highest(1, 1.05, [](double) { return false; }) == 0);
}

TEST_CASE("long prompts and short answers want prefill nodes, the reverse decode nodes") {
  const auto long_prompts = search(spec({{"prompt_mean", 6000}, {"output_mean", 8}}), quiet);
  REQUIRE(long_prompts);
  REQUIRE(long_prompts->size() == 3);
  CHECK(long_prompts->front().prefill == 3);
  // A step takes 11 ms alone: there is little room for company in a batch.
  auto s = spec({{"prompt_mean", 100}, {"output_mean", 1000}, {"slo_tpot_ms", 12}});
  const auto long_answers = search(s, quiet);
  REQUIRE(long_answers);
  CHECK(long_answers->front().decode >= 2);
  CHECK(long_answers->front().summary.attainment >= s.attainment);
  CHECK(std::ranges::is_sorted(*long_answers, std::greater<>(), &Found::goodput_per_price));
}

TEST_CASE("a budget in money bounds the nodes, and a cheap node that is half as fast is worth a third of the price") {
  auto s = spec({{"prompt_mean", 2000}, {"output_mean", 8}});
  Hardware slow = *find_hardware("h100");
  slow.name = "slow";
  slow.flops /= 2;
  s.offers = {{*find_hardware("h100"), 3}, {slow, 1}};
  s.budget = 6;
  const auto found = search(s, quiet);
  REQUIRE(found);
  for (const Found& f : *found) CHECK(f.price <= 6);
  CHECK(found->front().prefill_hardware == "slow");
  CHECK(found->front().decode_hardware == "slow");
}

TEST_CASE("objectives nobody can meet give no goodput, and a search without offers is refused") {
  auto s = spec({{"slo_ttft_ms", 0.001}});
  s.nodes = 2;
  s.least_requests = 20;
  s.duration_s = 0.1;
  const auto found = search(s, quiet);
  REQUIRE(found);
  CHECK(found->front().rate == 0);
  CHECK(found->front().goodput_per_node_s == 0);
  s.offers.clear();
  CHECK_FALSE(search(s, quiet));
}

// A search by price stopped at 8 nodes whatever the budget, and ranked what cost half of it as if that were all.
TEST_CASE("a budget without a number of nodes buys as many as it can") {
  SearchSpec s;
  s.offers = {{.hardware = {}, .price = 2.5}, {.hardware = {}, .price = 1.3}};
  CHECK(most_nodes(s) == kFewNodes);
  s.budget = 20;
  CHECK(most_nodes(s) == 15);
  s.budget = 1e6;
  CHECK(most_nodes(s) == kManyNodes);
  s.nodes = 4;
  CHECK(most_nodes(s) == 4);
}
