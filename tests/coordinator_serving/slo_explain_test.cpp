#include "coordinator/serving/slo_explain.h"

#include <catch2/catch.hpp>

#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;
using nlohmann::json;

namespace {

struct Explained {
  ClusterSnapshot cluster = test::cluster(2, 2);
  Placement placement{{.explore_share = 0}};
  Slo slo{.ttft_s = 10, .tpot_s = 0.1, .attainment = 0.9, .quality_kl = 0.01};
  RecentRequests recent{.finished = 100, .met = 99, .prompt_tokens = 4096, .output_tokens = 100};

  // Not inlined: g++ 12 takes what it is made from for dangling.
  [[gnu::noinline]] Explained() {}  // NOLINT(modernize-use-equals-default)

  json operator()() {
    return explain_slo("default", slo, recent, cluster, placement, TimePoint{std::chrono::seconds(1)});
  }
};

bool advises(const json& x, std::string_view words) {
  for (const auto& a : x["advice"])
    if (a.get<std::string>().find(words) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("a generous objective is reachable and needs no advice but the batch's bound") {
  Explained explain;
  explain.slo.tpot_s = 10;
  const json x = explain();
  CHECK(x["reachable"] == true);
  CHECK(x["advice"].empty());
  CHECK(x["max_seqs_per_decode_node"] == 64);
}

TEST_CASE("a slow link binds, and a looser quality budget is named with its profile") {
  Explained explain;
  for (auto& l : explain.cluster.links) l.bandwidth_bps = 0.1e9;
  explain.slo.ttft_s = 2;
  const json x = explain();
  CHECK(x["reachable"] == false);
  CHECK(x["binds"] == "wire");
  CHECK(advises(x, "a profile with a higher ratio"));
  CHECK(advises(x, "h4"));
}

TEST_CASE("what is out of reach comes with the objective that is not") {
  Explained explain;
  const auto named = [](const json& x, const std::string& flag) {
    for (const auto& a : x["advice"]) {
      const auto said = a.get<std::string>();
      if (const auto at = said.find(flag + " "); at != std::string::npos)
        return std::stod(said.substr(at + flag.size() + 1)) * 1e-3;
    }
    return 0.0;
  };
  for (auto& l : explain.cluster.links) l.bandwidth_bps = 0.1e9;
  explain.slo.ttft_s = 0.5;
  explain.slo.tpot_s = 0.001;
  json x = explain();
  REQUIRE(x["reachable"] == false);
  const double ttft = named(x, "--ttft-ms");
  const double tpot = named(x, "--tpot-ms");
  CHECK(ttft > x["idle"]["ttft_ms"].get<double>() * 1e-3);
  CHECK(tpot > x["idle"]["tpot_ms"].get<double>() * 1e-3);
  // Each was named as if the other were no matter; together they need a little more.
  explain.slo.ttft_s = ttft * 1.2;
  explain.slo.tpot_s = tpot * 1.2;
  CHECK(explain()["reachable"] == true);
  // Alone it is named as it is, chance and all.
  explain.slo.tpot_s = 10;
  explain.slo.ttft_s = ttft * 0.8;
  x = explain();
  REQUIRE(x["reachable"] == false);
  explain.slo.ttft_s = named(x, "--ttft-ms");
  CHECK(explain.slo.ttft_s <= ttft);
  CHECK(explain()["reachable"] == true);
}

TEST_CASE("a queue binds under load although idle nodes would do") {
  Explained explain;
  explain.slo.ttft_s = 5;
  for (auto& p : explain.cluster.prefills) p.queued_tokens = 200000;
  const json x = explain();
  CHECK(x["reachable"] == true);
  CHECK(x["binds"] == "queue");
  CHECK(advises(x, "add prefill nodes"));
}

TEST_CASE("how many sequences a decode node holds within TPOT is said") {
  Explained explain;
  explain.slo.tpot_s = 0.02;
  const json x = explain();
  const int seqs = x["max_seqs_per_decode_node"];
  CHECK(seqs > 1);
  CHECK(seqs < 64);
  CHECK(advises(x, "add decode nodes"));
}

TEST_CASE("no node, no profile: said rather than crashed on") {
  Explained explain;
  explain.cluster.prefills.clear();
  explain.cluster.links.clear();
  CHECK(explain()["binds"] == "no candidate");
  Explained strict;
  for (auto& p : strict.cluster.profiles) p.kl = 1;
  CHECK(strict()["binds"] == "no candidate");
}
