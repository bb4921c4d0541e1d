#include "coordinator/ctl/doctor/canary.h"

#include "tests/coordinator_ctl_doctor/findings.h"

using namespace sluice;
using namespace sluice::ctl::doctor;
using nlohmann::json;

namespace {

CanaryFacts well() {
  CanaryFacts c;
  c.slo_class = "gold";
  c.slo_ttft_ms = 200;
  c.slo_tpot_ms = 50;
  const json explained = json::parse(R"({"prefill_node": "p0", "decode_node": "d0", "profile": "raw", "ttft_ms": 40,
    "predicted_ttft_ms": 35, "stages_ms": {"queue": 1, "prefill": 30, "encode": 2, "wire": 5, "decode": 1}})");
  c.first = {80, {10, 12}, explained};
  c.second = {42, {10, 10}, explained};
  return c;
}

}  // namespace

TEST_CASE("a canary that sings") {
  const Findings all = judge_canary(well());
  REQUIRE(all.size() == 2);
  for (const auto& f : all) CHECK(f.severity == Severity::ok);
  CHECK_THAT(all[1].found, Catch::Contains("42.0 ms") && Catch::Contains("p0 -> d0") &&
                               Catch::Contains("profile raw") && Catch::Contains("prefill 30.0 ms"));
  CHECK(canary_json(well())["second"]["tpot_ms"] == 10.0);
}

TEST_CASE("a canary that fails") {
  CanaryFacts c;
  c.error = Error{Errc::unavailable, "no decode node is ready", {}};
  check_told(only(judge_canary(c), "canary"), Severity::error, "no decode node", "sluicectl decisions");
  CHECK(canary_json(c)["error"] == "no decode node is ready");
}

TEST_CASE("objectives that even an idle cluster misses name the longest stage") {
  CanaryFacts c = well();
  c.second.ttft_ms = 300;
  c.second.gaps_ms = {80};
  check_told(only(judge_canary(c), "canary-ttft"), Severity::warning, "300.0 ms, class gold promises 200.0 ms",
             "slo set gold --ttft-ms");
  CHECK_THAT(only(judge_canary(c), "canary-ttft").why, Catch::Contains("prefill"));
  check_told(only(judge_canary(c), "canary-tpot"), Severity::warning, "80.0 ms", "--tpot-ms");
  c.slo_ttft_ms.reset();
  CHECK_FALSE(has(judge_canary(c), "canary-ttft"));
}

TEST_CASE("a prediction that is far off is noted, one that is off by little is not") {
  CanaryFacts c = well();
  c.second.explained["ttft_ms"] = 90;
  CHECK(only(judge_canary(c), "canary-prediction").severity == Severity::note);
  c.second.explained["ttft_ms"] = 9;
  c.second.explained["predicted_ttft_ms"] = 2;
  CHECK_FALSE(has(judge_canary(c), "canary-prediction"));
}
