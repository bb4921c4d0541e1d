// Totals count what ended well by class, and what travelled by profile, whatever the decision log forgot.
#include "coordinator/serving/served_totals.h"

#include <catch2/catch.hpp>

#include "coordinator/serving/decision_log.h"

using namespace sluice;
using namespace sluice::coordinator;

namespace {

/// One that was promised a TTFT of a second and a TPOT of 0.1 s, and had its first token after `ttft_ms`.
Session served(const std::string& slo_class, const std::string& profile, int ttft_ms) {
  Session s;
  s.asked.slo_class = slo_class;
  s.asked.features.ttft_slo_s = 1;
  s.asked.features.tpot_slo_s = 0.1;
  s.asked.spec.received = TimePoint{std::chrono::seconds(10)};
  s.answer.first_token = s.answer.last_token = s.asked.spec.received + std::chrono::milliseconds(ttft_ms);
  s.answer.emitted = {1, 2};
  s.run.profile = profile;
  s.seen.raw_bytes = 4000;
  s.seen.wire_bytes = 1000;
  return s;
}

}  // namespace

TEST_CASE("totals of a class count what finished and what met both objectives") {
  ServedTotals t(5);
  t.add(served("default", "q4", 500), "stop");
  t.add(served("default", "q4", 1500), "length");
  Session slow = served("gold", "q4", 500);
  slow.answer.last_token += std::chrono::seconds(1);
  t.add(slow, "stop");
  Session silent = served("gold", "q4", 0);
  silent.answer.first_token.reset();
  t.add(silent, "stop");
  t.add(served("gold", "q4", 500), "cancelled");
  const auto j = t.to_json();
  CHECK(j["started"] == 5.0);
  CHECK(j["classes"]["default"] == nlohmann::json{{"finished", 2}, {"met", 1}});
  CHECK(j["classes"]["gold"] == nlohmann::json{{"finished", 2}, {"met", 0}});
}

TEST_CASE("totals of a profile count the bytes of whatever travelled, also of what failed") {
  ServedTotals t(5);
  CHECK(t.to_json()["profiles"] == nlohmann::json::object());
  t.add(served("default", "q4", 500), "stop");
  t.add(served("default", "q4", 500), "unavailable");
  Session mixed = served("default", "raw", 500);
  mixed.seen.mixed = true;
  t.add(mixed, "stop");
  Session colocated = served("default", "", 500);
  colocated.seen = {};
  t.add(colocated, "stop");
  const auto profiles = t.to_json()["profiles"];
  CHECK(profiles.size() == 2);
  CHECK(profiles["q4"]["transfers"] == 2);
  CHECK(profiles["q4"]["kv_raw_bytes"] == 8000);
  CHECK(profiles["q4"]["kv_wire_bytes"] == 2000);
  CHECK(profiles["mixed"]["transfers"] == 1);
}

TEST_CASE("what the decision log forgets stays in its totals") {
  DecisionLog log(1);
  for (int i = 0; i < 3; ++i) log.record(served("default", "q4", 500), "stop", 6);
  CHECK(log.since(0, 10).size() == 1);
  CHECK(log.totals().to_json()["classes"]["default"]["finished"] == 3);
}
