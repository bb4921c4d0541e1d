#include "coordinator/policy/fallbacks.h"

#include <catch2/catch.hpp>

#include "coordinator/policy/placement.h"
#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;
using Indices = std::vector<std::size_t>;

namespace {

/// One pair of nodes and these profiles, as (KL, ratio).
ClusterSnapshot offering(const std::vector<std::pair<double, double>>& profiles) {
  ClusterSnapshot c = test::cluster(1, 1);
  c.profiles.clear();
  c.prefills[0].profiles.clear();
  for (const auto& [kl, ratio] : profiles) {
    c.profiles.push_back({"f" + std::to_string(c.profiles.size()), kl});
    c.prefills[0].profiles.push_back({1e9, 1e9, ratio});
  }
  return c;
}

RequestFeatures within(double kl) {
  RequestFeatures r = test::request();
  r.quality_budget = kl;
  return r;
}

}  // namespace

TEST_CASE("a sender may fall back to what is smaller and within the quality budget") {
  const auto c = offering({{0, 1}, {0.03, 4}, {0.001, 2}, {0.2, 9}, {0.01, 1.9}});
  CHECK(fallbacks(c, within(0.05), {.profile = 0}) == Indices{2, 1});  // the last is no smaller than a better one
  CHECK(fallbacks(c, within(0.005), {.profile = 0}) == Indices{2});
  CHECK(fallbacks(c, within(0.05), {.profile = 2}) == Indices{1});
  CHECK(fallbacks(c, within(0.05), {.profile = 1}).empty());
}

TEST_CASE("a pinned profile stays") {
  const auto c = offering({{0, 1}, {0.001, 2}});
  RequestFeatures r = within(0.05);
  r.profile = "f0";
  CHECK(fallbacks(c, r, {.profile = 0}).empty());
}

TEST_CASE("of many fallbacks the best few and the smallest are offered") {
  const auto c = offering({{0, 1}, {0.001, 2}, {0.002, 3}, {0.003, 4}, {0.004, 5}, {0.005, 6}, {0.006, 7}});
  CHECK(fallbacks(c, within(0.05), {.profile = 0}) == Indices{1, 2, 3, 6});
}

TEST_CASE("a transfer that changed its profile teaches of the chosen one only that it was late") {
  const ClusterSnapshot c = test::cluster(1, 1);
  const TimePoint now(std::chrono::hours(1));
  const auto state_after = [&](bool mixed, double ttft_s) {
    Placement p({});
    RequestFeatures r = test::request();
    r.profile = "raw";
    auto d = std::get<Decision>(p.decide(c, r, 60, now));
    CHECK(d.chosen.link_bps == Approx(1e9));
    p.placed(d.chosen, now);
    Measured m{.compute_s = 0.4, .encode_s = 5, .wire_s = 1, .exposed_s = 1, .decode_s = 5, .first_step_s = 0.01};
    m.raw_bytes = m.wire_bytes = 5e8;
    m.ttft_s = ttft_s;
    m.mixed = mixed;
    p.prefill_done(d.chosen, m, now + std::chrono::seconds(2));
    p.finished(d.chosen, m, now + std::chrono::seconds(9));
    return std::get<Decision>(p.decide(c, r, 60, now + std::chrono::seconds(9))).chosen;
  };
  const Candidate untaught = state_after(true, 9);
  const Candidate taught = state_after(false, 9);
  CHECK(untaught.stages.encode_s / untaught.raw_bytes == Approx(1 / 8e9).epsilon(0.01));
  CHECK(taught.stages.encode_s / taught.raw_bytes > 1.02 / 8e9);
  CHECK(untaught.predicted_ttft_s > 1.1 * state_after(true, 0.1).predicted_ttft_s);
  CHECK(state_after(false, 0.1).predicted_ttft_s < 0.9 * state_after(true, 0.1).predicted_ttft_s);
}
