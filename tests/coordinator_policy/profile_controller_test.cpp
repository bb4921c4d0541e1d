#include "coordinator/policy/profile_controller.h"

#include <catch2/catch.hpp>
#include <map>

#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;

namespace {

const TimePoint kStart{std::chrono::seconds(100)};

std::vector<Candidate> three(double a, double b, double c) {
  std::vector<Candidate> out;
  const double times[] = {a, b, c};
  for (std::size_t i = 0; i < 3; ++i)
    out.push_back({.profile = i,
                   .arm = 10 + i,
                   .model_ttft_s = times[i],
                   .predicted_ttft_s = times[i],
                   .predicted_tpot_s = 0.01,
                   .kl = 0.01 * static_cast<double>(i)});
  return out;
}

/// Predictions as placement would make them now.
std::vector<Candidate> corrected(const ProfileController& k, std::vector<Candidate> c) {
  for (auto& x : c) x.predicted_ttft_s = k.corrected(x.arm, x.model_ttft_s);
  return c;
}

}  // namespace

TEST_CASE("the fastest candidate wins; equal ones go by quality") {
  ProfileController k({.epsilon = 0});
  const auto r = test::request();
  CHECK(k.choose(three(0.3, 0.1, 0.2), r, kStart).index == 1);
  CHECK(k.choose(three(0.201, 0.2, 0.199), r, kStart).index == 0);
}

TEST_CASE("a wrong model is corrected by what was measured") {
  ProfileController k({.epsilon = 0});
  const auto r = test::request();
  // The model believes arm 2; in truth it takes five times as long.
  for (int i = 0; i < 10; ++i) {
    const auto c = corrected(k, three(0.3, 0.25, 0.1));
    const auto at = k.choose(c, r, kStart).index;
    const double truth[] = {0.3, 0.25, 0.5};
    k.observe(c[at].arm, c[at].model_ttft_s, truth[at], true, kStart);
  }
  CHECK(k.choose(corrected(k, three(0.3, 0.25, 0.1)), r, kStart).index == 1);
  CHECK(k.corrected(12, 0.1) == Approx(0.5).epsilon(0.1));
}

TEST_CASE("the residual follows a change and shrugs off one outlier") {
  ProfileController k({.epsilon = 0});
  for (int i = 0; i < 20; ++i) k.observe(1, 0.1, 0.1, true, kStart);
  k.observe(1, 0.1, 1000, false, kStart);
  CHECK(k.corrected(1, 0.1) < 0.1 * 2);
  for (int i = 0; i < 30; ++i) k.observe(1, 0.1, 0.2, true, kStart);
  CHECK(k.corrected(1, 0.1) == Approx(0.2).epsilon(0.05));
}

TEST_CASE("an arm that keeps missing its SLO rests, then comes back") {
  ProfileController k({.epsilon = 0, .cooldown_s = 5});
  const auto r = test::request();
  const auto c = three(0.1, 0.2, 0.3);
  for (int i = 0; i < kMissesToCool; ++i) k.observe(10, 0.1, 0.1, false, kStart);
  CHECK(k.choose(c, r, kStart).index == 1);
  CHECK(k.choose(c, r, kStart + std::chrono::seconds(6)).index == 0);
}

TEST_CASE("a met SLO in between resets the count of misses") {
  ProfileController k({.epsilon = 0});
  for (int i = 0; i < 10; ++i) k.observe(10, 0.1, 0.1, i % 2 == 0, kStart);
  CHECK(k.choose(three(0.1, 0.2, 0.3), test::request(), kStart).index == 0);
}

TEST_CASE("a failed arm rests at once; with all resting the best still serves") {
  ProfileController k({.epsilon = 0});
  const auto c = three(0.1, 0.2, 0.3);
  k.observe_failure(10, kStart);
  CHECK(k.choose(c, test::request(), kStart).index == 1);
  k.observe_failure(11, kStart);
  k.observe_failure(12, kStart);
  const Choice last = k.choose(c, test::request(), kStart);
  CHECK(last.index == 0);
  CHECK(last.reason == ChoiceReason::cooled_fallback);
}

TEST_CASE("exploration takes its share, only among arms that should meet the SLO") {
  ProfileController k({.epsilon = 0.2, .seed = 7});
  auto r = test::request();
  r.ttft_slo_s = 0.25;
  std::map<std::size_t, int> seen;
  constexpr int kRounds = 5000;
  for (int i = 0; i < kRounds; ++i) ++seen[k.choose(three(0.1, 0.2, 0.3), r, kStart).index];
  CHECK(seen[2] == 0);
  CHECK(seen[1] > kRounds * 0.07);
  CHECK(seen[1] < kRounds * 0.13);
}

TEST_CASE("equal seeds give equal choices") {
  ProfileController a({.epsilon = 0.5, .seed = 3});
  ProfileController b({.epsilon = 0.5, .seed = 3});
  for (int i = 0; i < 200; ++i)
    CHECK(a.choose(three(0.1, 0.2, 0.3), test::request(), kStart).index ==
          b.choose(three(0.1, 0.2, 0.3), test::request(), kStart).index);
}

TEST_CASE("missing the TPOT objective outweighs a faster start") {
  ProfileController k({.epsilon = 0});
  auto c = three(0.1, 0.2, 0.3);
  c[0].predicted_tpot_s = 0.5;
  CHECK(k.choose(c, test::request(), kStart).index == 1);
}
