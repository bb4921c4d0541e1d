#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "coordinator/policy/output_lengths.h"
#include "coordinator/policy/placement.h"
#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;

namespace {

const TimePoint kNow{std::chrono::seconds(1000)};

Decision decide(Placement& p, const ClusterSnapshot& c, TimePoint now = kNow) {
  const Placed placed = p.decide(c, test::request(), 1e6, now);
  REQUIRE(std::holds_alternative<Decision>(placed));
  return std::get<Decision>(placed);
}

void teach(Placement& p, const ClusterSnapshot& c) {
  TimePoint now = kNow;
  for (int i = 0; i < 40; ++i) {
    Decision d = decide(p, c, now);
    p.placed(d.chosen, now);
    Measured m{.compute_s = d.chosen.tokens / 3000,
               .encode_s = d.chosen.raw_bytes / 5e8,
               .wire_s = std::max(d.chosen.wire_bytes / 2e8, d.chosen.raw_bytes / 5e8),
               .exposed_s = 0.5,
               .decode_s = d.chosen.raw_bytes / 6e8,
               .first_step_s = 0.02,
               .raw_bytes = d.chosen.raw_bytes,
               .wire_bytes = d.chosen.wire_bytes,
               .tpot_s = 0.02,
               .output_tokens = 50};
    m.ttft_s = m.compute_s + m.exposed_s + m.first_step_s + 0.007;
    now += from_seconds(m.ttft_s);
    p.prefill_done(d.chosen, m, now);
    p.finished(d.chosen, m, now);
    now += std::chrono::seconds(1);
  }
}

}  // namespace

TEST_CASE("what was learned survives a restart") {
  const auto c = test::cluster(1, 1);
  Placement before({.explore_share = 0});
  teach(before, c);
  const auto saved = nlohmann::json::parse(before.save().dump());
  Placement after({.explore_share = 0});
  REQUIRE(after.load(saved, kNow).has_value());
  const Decision a = decide(before, c, kNow + std::chrono::seconds(200));
  const Decision b = decide(after, c);
  CHECK(b.chosen.predicted_ttft_s == Approx(a.chosen.predicted_ttft_s).epsilon(0.1));
  CHECK(b.chosen.predicted_tpot_s == Approx(a.chosen.predicted_tpot_s).epsilon(0.1));
  Placement fresh({.explore_share = 0});
  CHECK(std::abs(decide(fresh, c).chosen.predicted_tpot_s / a.chosen.predicted_tpot_s - 1) > 0.3);
}

TEST_CASE("a state for nodes that never come back does no harm") {
  Placement before({.explore_share = 0});
  teach(before, test::cluster(4, 4));
  Placement after({.explore_share = 0});
  REQUIRE(after.load(before.save(), kNow).has_value());
  CHECK(decide(after, test::cluster(1, 1)).considered == 3);
}

TEST_CASE("a state of another version or with damaged parts is survived") {
  Placement p({.explore_share = 0});
  CHECK_FALSE(p.load(nlohmann::json::parse("[]"), kNow).has_value());
  CHECK_FALSE(p.load({{"version", 2}}, kNow).has_value());
  const auto broken = nlohmann::json::parse(R"({"version":1,
    "latency":{"prefill":{"p0":{"compute":[1,"x",3],"encode":{"raw":{"value":-1,"var":"a","count":1e30}}},"p1":7},
               "decode":{"d0":{"step":[],"first":3}},"links":[{"prefill":3},{"prefill":"p0","decode":"zz"},5],"fixed":[]},
    "controller":{"shared":[1,2],"noise":-3,"seen":-1,"prefill":{"p0":{"mean":1e300,"var":-1,"count":2}},"pairs":[[],{}]}})");
  CHECK(p.load(broken, kNow).has_value());
  const Decision d = decide(p, test::cluster(1, 1));
  CHECK(std::isfinite(d.chosen.predicted_ttft_s));
  CHECK(d.chosen.predicted_ttft_s > 0);
}

TEST_CASE("how long outputs are survives a restart, and a state of another version or a damaged one changes nothing") {
  OutputLengths before;
  for (int i = 0; i < 2000; ++i) before.observe(20 + i % 300, i % 4 != 0);
  const auto saved = nlohmann::json::parse(before.save().dump());
  OutputLengths after;
  REQUIRE(after.load(saved));
  CHECK(after.known());
  for (double n = 0; n < 400; n += 7) CHECK(after.survival(n, 500) == Approx(before.survival(n, 500)).epsilon(1e-9));
  before.observe(100, true);
  after.observe(100, true);
  CHECK(after.survival(90, 500) == Approx(before.survival(90, 500)).epsilon(1e-9));

  const double was = after.survival(90, 500);
  auto broken = [&](const char* key, const nlohmann::json& value) {
    auto j = saved;
    j[key] = value;
    return after.load(j);
  };
  const auto other = broken("version", 2);
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Errc::unsupported);
  CHECK_FALSE(after.load(nlohmann::json::parse("[]")));
  for (const char* key : {"ended", "left"})
    for (const auto& value :
         {nlohmann::json(3), nlohmann::json::parse("[1,2]"), nlohmann::json(nullptr),
          nlohmann::json(std::vector<double>(128, -1)), nlohmann::json(std::vector<double>(128, 1e9)),
          nlohmann::json(std::vector<std::string>(128, "1"))}) {
      const auto r = broken(key, value);
      REQUIRE_FALSE(r);
      CHECK(r.error().code == Errc::data_corrupt);
    }
  CHECK(after.survival(90, 500) == was);
}
