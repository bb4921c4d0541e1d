#include "engine/policy/sampler.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "engine/policy/philox.h"

using namespace sluice;
using namespace sluice::engine;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const std::vector<float> kLogits = {1.0F, 2.0F, 0.5F, -1.0F, 3.0F, 2.5F, 0.0F, -3.0F};

Sampler make(SamplingParams p, std::vector<TokenId> prompt = {}, std::vector<TokenId> eos = {},
             std::uint32_t vocab = 8) {
  return Sampler::create(std::move(p), {vocab, std::move(eos), 42}, prompt).value();
}

TokenId greedy(SamplingParams p, const std::vector<float>& logits, std::vector<TokenId> prompt = {},
               std::vector<TokenId> output = {}, std::vector<TokenId> eos = {}) {
  p.temperature = 0;
  Sampler s = make(std::move(p), std::move(prompt), std::move(eos), static_cast<std::uint32_t>(logits.size()));
  for (const TokenId t : output) s.accept(t);
  return s.sample(logits).value().token;
}

std::vector<double> softmax(const std::vector<float>& logits, double temperature, const std::set<TokenId>& keep) {
  std::vector<double> p(logits.size());
  double sum = 0;
  for (const TokenId t : keep) sum += p[t] = std::exp(logits[t] / temperature);
  for (double& x : p) x /= sum;
  return p;
}

/// Draws along one sequence's positions and returns how often each token came.
std::vector<int> histogram(SamplingParams p, const std::vector<float>& logits, int draws,
                           std::uint64_t seed = 20261121) {
  p.seed = seed;
  Sampler s = make(std::move(p), {}, {}, static_cast<std::uint32_t>(logits.size()));
  std::vector<int> counts(logits.size());
  for (int i = 0; i < draws; ++i) {
    const TokenId t = s.sample(logits).value().token;
    ++counts[t];
    s.accept(t);
  }
  return counts;
}

/// Chi-square statistic against `p`; a token of probability 0 must not occur at all.
double chi_square(const std::vector<int>& counts, const std::vector<double>& p) {
  const int draws = std::accumulate(counts.begin(), counts.end(), 0);
  double x2 = 0;
  for (std::size_t t = 0; t < p.size(); ++t) {
    if (p[t] == 0) {
      REQUIRE(counts[t] == 0);
      continue;
    }
    const double expected = p[t] * draws;
    x2 += (counts[t] - expected) * (counts[t] - expected) / expected;
  }
  return x2;
}

/// One chi-square over many seeds: their sum has kSeeds * df degrees of freedom, and must lie within four standard
/// deviations of it on either side (too good a fit is as wrong as too bad a one).
void check_distribution(const SamplingParams& p, const std::set<TokenId>& keep) {
  constexpr int kSeeds = 40;
  const auto expected = softmax(kLogits, p.temperature, keep);
  double x2 = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) x2 += chi_square(histogram(p, kLogits, 2000, seed), expected);
  const double df = kSeeds * (static_cast<double>(keep.size()) - 1);
  CHECK(std::abs(x2 - df) <= 4 * std::sqrt(2 * df));
}

const std::set<TokenId> kAll = {0, 1, 2, 3, 4, 5, 6, 7};

}  // namespace

TEST_CASE("philox gives the published vectors") {
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) ==
        std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("temperature 0 takes the highest logit, the lowest id on ties") {
  CHECK(greedy({}, kLogits) == 4);
  CHECK(greedy({}, {1, 3, 3, 3}) == 1);
  CHECK(greedy({}, {-kInf, -kInf, -7}) == 2);
}

TEST_CASE("draws follow the softmax at the temperature") {
  check_distribution({.temperature = 1.0}, kAll);
  check_distribution({.temperature = 0.5}, kAll);
  check_distribution({.temperature = 2.0}, kAll);
}

TEST_CASE("top_k, top_p and min_p cut and renormalise") {
  SamplingParams p;
  SECTION("top_k") {
    p.top_k = 3;
    check_distribution(p, {4, 5, 1});
  }
  SECTION("top_k beyond the vocabulary") {
    p.top_k = 1000;
    check_distribution(p, kAll);
  }
  SECTION("top_p: 4 and 5 hold 0.68, with 1 0.84") {
    p.top_p = 0.8;
    check_distribution(p, {4, 5, 1});
    p.top_p = 0.6;
    check_distribution(p, {4, 5});
    p.top_p = 1e-9;
    check_distribution(p, {4});
  }
  SECTION("top_p counts the mass left by top_k: of 4, 5 and 1, two hold 0.81") {
    p.top_k = 3;
    p.top_p = 0.8;
    check_distribution(p, {4, 5});
  }
  SECTION("min_p is relative to the most likely, e^-1 = 0.368") {
    p.min_p = 0.36;
    check_distribution(p, {4, 5, 1});
    p.min_p = 0.37;
    check_distribution(p, {4, 5});
    p.min_p = 1;
    check_distribution(p, {4});
  }
  SECTION("the cuts see the temperature") {
    p.temperature = 2;
    p.min_p = 0.36;
    check_distribution(p, {4, 5, 1, 0});
  }
}

TEST_CASE("tokens tied with the k-th stay in") {
  SamplingParams p;
  p.top_k = 2;
  const auto counts = histogram(p, {1, 5, 5, 5, 0, 0, 0, 0}, 3000);
  CHECK(counts[1] + counts[2] + counts[3] == 3000);
  CHECK(std::min({counts[1], counts[2], counts[3]}) > 800);

  const std::vector<float> flat(1000, 1.0F);  // ties far past the first ranks
  const auto even = histogram(p, flat, 5000);
  CHECK(*std::ranges::max_element(even) < 30);
}

TEST_CASE("cuts over a large vocabulary agree with a full sort") {
  std::mt19937 rng(7);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(5000);
  for (float& v : logits) v = normal(rng);
  std::vector<TokenId> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
  for (const double top_p : {0.05, 0.5, 0.95, 0.9999}) {
    const auto all = softmax(logits, 1.0, {order.begin(), order.end()});
    double mass = 0;
    std::set<TokenId> keep;
    for (const TokenId t : order) {
      keep.insert(t);
      if ((mass += all[t]) >= top_p) break;
    }
    SamplingParams p;
    p.top_p = top_p;
    const auto counts = histogram(p, logits, 2000);
    for (std::size_t t = 0; t < counts.size(); ++t)
      if (counts[t] > 0) CHECK(keep.contains(static_cast<TokenId>(t)));
    CHECK(counts[order[0]] > 0);
  }
}

TEST_CASE("repetition penalty: prompt and output, away from zero in the right direction") {
  SamplingParams p;
  p.repetition_penalty = 2;
  CHECK(greedy(p, {3, 2, 0}) == 0);
  CHECK(greedy(p, {3, 2, 0}, {0}) == 1);            // 3 / 2 < 2
  CHECK(greedy(p, {3, 2, 0}, {}, {0, 0, 0}) == 1);  // once, however often it occurred
  CHECK(greedy(p, {3, 2, 0}, {0}, {0}) == 1);
  CHECK(greedy(p, {-1, -1.5F, -9}, {0}) == 1);  // -1 * 2 < -1.5
}

TEST_CASE("presence and frequency penalties: output only, frequency by count") {
  SamplingParams presence;
  presence.presence_penalty = 1.5;
  CHECK(greedy(presence, {3, 2, 0}, {0, 0}) == 0);
  CHECK(greedy(presence, {3, 2, 0}, {}, {0}) == 1);
  CHECK(greedy(presence, {3, 1, 0}, {}, {0, 0, 0}) == 0);
  SamplingParams frequency;
  frequency.frequency_penalty = 0.6;
  CHECK(greedy(frequency, {3, 2, 0}, {0, 0, 0}) == 0);
  CHECK(greedy(frequency, {3, 2, 0}, {}, {0}) == 0);
  CHECK(greedy(frequency, {3, 2, 0}, {}, {0, 0}) == 1);
}

TEST_CASE("logit_bias is added, and clamped to 100") {
  SamplingParams p;
  p.logit_bias = {{2, 50}, {0, -50}};
  CHECK(greedy(p, {3, 2, 0}) == 2);
  p.logit_bias = {{2, 1e9}};
  CHECK(greedy(p, {150, 2, 0}) == 0);
}

TEST_CASE("min_tokens masks eos and stop tokens, even where eos is ignored") {
  SamplingParams p;
  p.min_tokens = 2;
  p.stop_token_ids = {1};
  CHECK(greedy(p, {3, 2, 0}, {}, {}, {0}) == 2);
  CHECK(greedy(p, {3, 2, 0}, {}, {2}, {0}) == 2);
  CHECK(greedy(p, {3, 2, 0}, {}, {2, 2}, {0}) == 0);
  p.ignore_eos = true;
  CHECK(greedy(p, {3, 2, 0}, {}, {}, {0}) == 2);
}

TEST_CASE("a sequence resumed at any position draws what it would have drawn") {
  SamplingParams p;
  p.temperature = 0.9;
  p.top_p = 0.95;
  p.frequency_penalty = 0.1;
  p.seed = 7;
  const std::vector<TokenId> prompt = {1, 2, 3};
  std::mt19937 rng(1);
  std::normal_distribution<float> normal(0, 1);
  std::vector<std::vector<float>> logits(40, std::vector<float>(8));
  for (auto& row : logits)
    for (float& v : row) v = normal(rng);

  Sampler first = make(p, prompt);
  std::vector<TokenId> sent;
  for (const auto& row : logits) {
    sent.push_back(first.sample(row).value().token);
    first.accept(sent.back());
  }
  for (std::size_t k = 0; k < sent.size(); ++k) {
    Sampler resumed = make(p, prompt);
    for (std::size_t i = 0; i < k; ++i) resumed.accept(sent[i]);
    for (std::size_t i = k; i < sent.size(); ++i) {
      REQUIRE(resumed.sample(logits[i]).value().token == sent[i]);
      resumed.accept(sent[i]);
    }
  }
}

TEST_CASE("seeds: the same twice gives the same, others and the fallback differ") {
  const auto draw = [](std::optional<std::uint64_t> seed, std::uint64_t fallback) {
    SamplingParams p;
    p.seed = seed;
    Sampler s = Sampler::create(p, {8, {}, fallback}, {}).value();
    std::vector<TokenId> out;
    for (int i = 0; i < 64; ++i) {
      out.push_back(s.sample(kLogits).value().token);
      s.accept(out.back());
    }
    return out;
  };
  CHECK(draw(1, 5) == draw(1, 6));
  CHECK(draw(1, 5) != draw(2, 5));
  CHECK(draw({}, 5) != draw({}, 6));
  CHECK(draw({}, 5) == draw(5, 0));
}

TEST_CASE("log-probabilities are the model's own, whatever the penalties and temperature") {
  SamplingParams p;
  p.temperature = 0;
  p.logit_bias = {{7, 100}};
  p.logprobs = 3;
  const auto out = make(p).sample(kLogits).value();
  CHECK(out.token == 7);
  const auto raw = softmax(kLogits, 1.0, kAll);
  CHECK(*out.logprob == Approx(std::log(raw[7])));
  REQUIRE(out.top_logprobs.size() == 3);
  CHECK(out.top_logprobs[0].token == 4);
  CHECK(out.top_logprobs[1].token == 5);
  CHECK(out.top_logprobs[2].token == 1);
  CHECK(out.top_logprobs[0].logprob == Approx(std::log(raw[4])));

  p.logprobs = 0;
  CHECK(make(p).sample(kLogits)->logprob);
  CHECK(make(p).sample(kLogits)->top_logprobs.empty());
  p.logprobs.reset();
  CHECK_FALSE(make(p).sample(kLogits)->logprob);
  p.logprobs = 20;
  CHECK(make(p).sample(kLogits)->top_logprobs.size() == 8);
}

TEST_CASE("logits that a broken forward pass left are an error, not a crash") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const double temperature : {0.0, 1.0})
    for (const bool cut : {false, true}) {
      SamplingParams p;
      p.temperature = temperature;
      p.logprobs = 2;
      if (cut) p.top_k = 2;
      const Sampler s = make(p, {}, {}, 3);
      for (const std::vector<float>& bad :
           {std::vector<float>{1, nan, 2}, {nan, nan, nan}, {1, kInf, 2}, {-kInf, -kInf, -kInf}})
        CHECK(s.sample(bad).error().code == Errc::data_corrupt);
      CHECK(s.sample(std::vector<float>{1, 2}).error().code == Errc::internal);
      CHECK(s.sample(std::vector<float>{-kInf, 2, -kInf}).value().token == 1);
    }
}

TEST_CASE("parameters that drive the logits out of range, or mask everything, are an error") {
  SamplingParams p;
  p.repetition_penalty = 1e-300;
  CHECK(make(p, {0}, {}, 2).sample(std::vector<float>{5, 1}).error().code == Errc::invalid_argument);
  CHECK(make(p, {0}, {}, 2).sample(std::vector<float>{5, 1}).error().param == "repetition_penalty");
  SamplingParams all;
  all.min_tokens = 1;
  all.stop_token_ids = {0, 1};
  CHECK_FALSE(make(all, {}, {}, 2).sample(std::vector<float>{0, 1}));
}

TEST_CASE("create refuses tokens outside the vocabulary, and bad parameters") {
  SamplingParams p;
  CHECK(Sampler::create(p, {0, {}, 0}, {}).error().code == Errc::invalid_argument);
  p.logit_bias = {{8, 1}};
  CHECK(Sampler::create(p, {8, {}, 0}, {}).error().param == "logit_bias");
  p.logit_bias.clear();
  p.stop_token_ids = {8};
  CHECK(Sampler::create(p, {8, {}, 0}, {}).error().param == "stop_token_ids");
  p.stop_token_ids.clear();
  CHECK(Sampler::create(p, {8, {}, 0}, std::vector<TokenId>{-1}).error().param == "prompt");
  p.temperature = -1;
  CHECK(Sampler::create(p, {8, {}, 0}, {}).error().param == "temperature");
}

TEST_CASE("stop reasons: eos, stop token, length, none before min_tokens") {
  SamplingParams p;
  p.stop_token_ids = {3};
  p.max_tokens = 3;
  const auto after = [&](std::vector<TokenId> output) {
    Sampler s = make(p, {}, {5});
    for (const TokenId t : output) s.accept(t);
    return s.stop_reason();
  };
  CHECK(after({}) == std::nullopt);
  CHECK(after({5}) == StopReason::eos);
  CHECK(after({3}) == StopReason::stop_token);
  CHECK(after({0, 0}) == std::nullopt);
  CHECK(after({0, 0, 0}) == StopReason::length);
  CHECK(after({0, 0, 5}) == StopReason::eos);
  p.min_tokens = 2;
  CHECK(after({5}) == std::nullopt);
  CHECK(after({0, 5}) == StopReason::eos);
  p.ignore_eos = true;
  CHECK(after({0, 5}) == std::nullopt);
  CHECK(after({0, 3}) == StopReason::stop_token);
}
