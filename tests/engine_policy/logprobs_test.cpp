#include "engine/policy/logprobs.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "engine/policy/sampler.h"

using namespace sluice;
using namespace sluice::engine;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

/// Few distinct values, so that ties are many.
std::vector<float> row(std::size_t vocab, std::uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<float> out(vocab);
  for (float& v : out) v = static_cast<float>(rng() % 40) / 4 - 5;
  return out;
}

}  // namespace

TEST_CASE("a token is rated by its probability and its place, ties by id") {
  const std::vector<float> logits{0, 2, -kInf, 2, 1};
  const auto r = rate(logits, 3, 3).value();
  const double sum = 1 + 2 * std::exp(2) + std::exp(1);
  CHECK(r.token == 3);
  CHECK(r.logprob == Approx(2 - std::log(sum)));
  CHECK(r.rank == 2);
  REQUIRE(r.top.size() == 3);
  CHECK(r.top[0].token == 1);
  CHECK(r.top[1].token == 3);
  CHECK(r.top[1].logprob == r.logprob);
  CHECK(r.top[2].token == 4);
  CHECK(rate(logits, 0, 0)->top.empty());
  CHECK(rate(logits, 0, 20)->top.size() == 5);
  CHECK(rate(logits, 2, 0)->logprob == -kInf);
  CHECK(rate(logits, 2, 0)->rank == 5);
}

TEST_CASE("the likeliest tokens and a rank are those of a full sort") {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    const auto logits = row(300, seed);
    std::vector<TokenId> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](TokenId t) { return logits[static_cast<std::size_t>(t)]; });
    const LogSoftmax all(logits);
    const auto top = all.top(20);
    for (std::size_t i = 0; i < top.size(); ++i) CHECK(top[i] == TokenLogprob{order[i], all(order[i])});
    for (std::size_t i = 0; i < order.size(); i += 37) CHECK(all.rank(order[i]) == i + 1);
  }
}

// A client that asks for the same token twice, once as output and once as prompt, gets one figure.
TEST_CASE("a prompt's token and a sampled one are rated alike") {
  const auto logits = row(500, 3);
  SamplingParams p;
  p.temperature = 0;
  p.logprobs = 5;
  const auto sampled = Sampler::create(p, {500, {}, 0}, {})->sample(logits).value();
  const auto rated = rate(logits, sampled.token, 5).value();
  CHECK(rated.logprob == *sampled.logprob);
  CHECK(rated.top == sampled.top_logprobs);
  CHECK(rated.rank == 1);
}

TEST_CASE("logits that a broken forward pass left rate nothing") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::vector<float>& bad : {std::vector<float>{1, nan, 2}, {1, kInf, 2}, {-kInf, -kInf, -kInf}})
    CHECK(rate(bad, 1, 2).error().code == Errc::data_corrupt);
}
