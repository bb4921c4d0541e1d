// A sampler whose answer is bound: the constraint here allows given words of a language of few tokens.
#include <catch2/catch.hpp>
#include <limits>
#include <memory>
#include <random>
#include <set>

#include "engine/policy/sampler.h"

using namespace sluice;
using namespace sluice::engine;

namespace {

constexpr TokenId kEos = 0;
constexpr std::uint32_t kVocab = 8;
constexpr float kInf = std::numeric_limits<float>::infinity();
using Words = std::vector<std::vector<TokenId>>;

/// The answer is one of these lists of tokens, then an end token.
class OneOf final : public TokenConstraint {
 public:
  explicit OneOf(Words words) : words_(std::move(words)) {}
  void fill(std::span<std::uint64_t> bits) const override {
    std::ranges::fill(bits, ~std::uint64_t{0} << kVocab);  // what is no token is nobody's business
    if (ended_) return;
    for (const TokenId t : next()) set_bit(bits, t, true);
    if (may_end()) set_bit(bits, kEos, true);
  }
  bool accept(TokenId t) override {
    if (ended_) return false;
    if (t == kEos) return ended_ = may_end();
    if (!next().contains(t)) return false;
    so_far_.push_back(t);
    return true;
  }
  bool may_end() const override { return std::ranges::find(words_, so_far_) != words_.end(); }
  bool must_end() const override { return ended_ || (may_end() && next().empty()); }

 private:
  std::set<TokenId> next() const {
    std::set<TokenId> out;
    for (const auto& w : words_)
      if (w.size() > so_far_.size() && std::ranges::equal(so_far_, std::span(w).first(so_far_.size())))
        out.insert(w[so_far_.size()]);
    return out;
  }
  Words words_;
  std::vector<TokenId> so_far_;
  bool ended_ = false;
};

Sampler bound(SamplingParams p, Words words, std::vector<TokenId> eos = {kEos}) {
  Sampler s = Sampler::create(std::move(p), {kVocab, std::move(eos), 42}, {}).value();
  s.bind(std::make_unique<OneOf>(std::move(words)));
  return s;
}

SamplingParams greedy() {
  SamplingParams p;
  p.temperature = 0;
  return p;
}

/// Token t's logit is t: the highest id is the likeliest.
const std::vector<float> kRising = {0, 1, 2, 3, 4, 5, 6, 7};

/// Draws to the end, at most so many tokens.
std::vector<TokenId> run(Sampler& s, const std::vector<float>& logits, std::size_t most = 16) {
  std::vector<TokenId> out;
  while (out.size() < most && !s.stop_reason()) {
    const auto drawn = s.sample(logits);
    REQUIRE(drawn);
    out.push_back(drawn->token);
    s.accept(drawn->token);
  }
  return out;
}

}  // namespace

TEST_CASE("only what the constraint allows is drawn, and a whole text ends without an end token") {
  Sampler s = bound(greedy(), {{1, 2}, {3, 4, 5}});
  CHECK(run(s, kRising) == std::vector<TokenId>{3, 4, 5});
  CHECK(s.stop_reason() == StopReason::complete);
  Sampler without = bound(greedy(), {{1, 2}, {3, 4, 5}}, {});
  CHECK(run(without, kRising) == std::vector<TokenId>{3, 4, 5});
  CHECK(without.stop_reason() == StopReason::complete);
}

TEST_CASE("where a text may end the model decides") {
  auto ends = kRising;
  ends[kEos] = 9;
  Sampler s = bound(greedy(), {{1}, {1, 2}});
  CHECK(run(s, ends) == std::vector<TokenId>{1, kEos});
  CHECK(s.stop_reason() == StopReason::eos);
  Sampler on = bound(greedy(), {{1}, {1, 2}});
  CHECK(run(on, kRising) == std::vector<TokenId>{1, 2});
}

TEST_CASE("min_tokens and ignore_eos bar the end while anything else may come, and no longer") {
  auto ends = kRising;
  ends[kEos] = 9;
  const Words words = {{1}, {1, 2}, {1, 2, 3}};
  SamplingParams p = greedy();
  SECTION("ignore_eos") {
    p.ignore_eos = true;
    Sampler s = bound(p, words);
    CHECK(run(s, ends) == std::vector<TokenId>{1, 2, 3});
    CHECK(s.stop_reason() == StopReason::complete);
  }
  SECTION("min_tokens within the text") {
    p.min_tokens = 2;
    Sampler s = bound(p, words);
    CHECK(run(s, ends) == std::vector<TokenId>{1, 2, kEos});
  }
  SECTION("min_tokens beyond the text") {
    p.min_tokens = 10;
    Sampler s = bound(p, words);
    CHECK(run(s, ends) == std::vector<TokenId>{1, 2, 3});
    CHECK(s.stop_reason() == StopReason::complete);
  }
}

TEST_CASE("a stop token may come where the text may end, as an end token does") {
  SamplingParams p = greedy();
  p.stop_token_ids = {7};
  Sampler s = bound(p, {{1, 2}, {1, 2, 3}});
  CHECK(run(s, kRising) == std::vector<TokenId>{1, 2, 7});
  CHECK(s.stop_reason() == StopReason::stop_token);
  SECTION("not before min_tokens") {
    p.min_tokens = 3;
    Sampler later = bound(p, {{1, 2}, {1, 2, 3}});
    CHECK(run(later, kRising) == std::vector<TokenId>{1, 2, 3});
  }
  SECTION("one that is part of the text ends it all the same") {
    p.stop_token_ids = {2};
    Sampler early = bound(p, {{1, 2, 3}});
    CHECK(run(early, kRising) == std::vector<TokenId>{1, 2});
    CHECK(early.stop_reason() == StopReason::stop_token);
  }
}

TEST_CASE("log-probabilities are the model's own, whatever is allowed") {
  SamplingParams p = greedy();
  p.logprobs = 2;
  const auto drawn = bound(p, {{1}, {2}}).sample(kRising).value();
  CHECK(drawn.token == 2);
  p.temperature = 1;
  const auto free = Sampler::create(p, {kVocab, {kEos}, 42}, {})->sample(kRising).value();
  CHECK(drawn.top_logprobs == free.top_logprobs);
  CHECK(*drawn.logprob == Approx(2.0 - 7.0 + free.top_logprobs.front().logprob).margin(1e-5));
}

TEST_CASE("a draw under a mask is the draw over logits of which the others are -inf") {
  std::mt19937 rng(7);
  for (int round = 0; round < 300; ++round) {
    SamplingParams p;
    p.temperature = 0.3 + 0.1 * static_cast<double>(rng() % 15);
    p.top_k = static_cast<std::int32_t>(rng() % 6);
    p.top_p = rng() % 2 == 0 ? 1.0 : 0.7;
    p.min_p = rng() % 3 == 0 ? 0.1 : 0.0;
    p.repetition_penalty = rng() % 3 == 0 ? 1.3 : 1.0;
    p.seed = rng();
    std::vector<float> logits(kVocab);
    for (float& x : logits) x = static_cast<float>(rng() % 800) / 100 - 4;
    Words words;
    std::set<TokenId> allowed;
    for (TokenId t = 1; t < static_cast<TokenId>(kVocab); ++t)
      if (rng() % 2 == 0) words.push_back({t, 1}), allowed.insert(t);
    if (words.empty()) continue;
    auto masked = logits;
    for (TokenId t = 0; t < static_cast<TokenId>(kVocab); ++t)
      if (!allowed.contains(t)) masked[static_cast<std::size_t>(t)] = -kInf;
    const auto want = Sampler::create(p, {kVocab, {kEos}, 42}, {})->sample(masked).value().token;
    REQUIRE(bound(p, words).sample(logits).value().token == want);
  }
}

TEST_CASE("a sampler that was shown the first tokens goes on as the one that drew them") {
  SamplingParams p;
  p.seed = 11;
  const Words words = {{1, 2, 3, 4}, {1, 3, 2}, {5, 6, 7, 1, 2}, {5, 6, 1}, {2, 2, 2, 2, 2}};
  Sampler first = bound(p, words);
  const auto whole = run(first, kRising);
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    Sampler s = Sampler::create(p, {kVocab, {kEos}, 42}, {}).value();
    auto constraint = std::make_unique<OneOf>(words);
    for (std::size_t i = 0; i < cut; ++i) {
      s.accept(whole[i]);
      REQUIRE(constraint->accept(whole[i]));
    }
    s.bind(std::move(constraint));
    CHECK(run(s, kRising) == std::vector<TokenId>(whole.begin() + static_cast<std::ptrdiff_t>(cut), whole.end()));
  }
}

TEST_CASE("what leaves nothing to draw is that sequence's error") {
  SECTION("a constraint that no token fits") {
    const auto r = bound(greedy(), {}).sample(kRising);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == Errc::unsupported);
  }
  SECTION("a model that gives what is allowed no chance") {
    auto logits = kRising;
    logits[3] = -kInf;
    CHECK(bound(greedy(), {{3}}).sample(logits).error().code == Errc::data_corrupt);
  }
  SECTION("a token that nobody allowed") {
    Sampler s = bound(greedy(), {{1, 2, 3}});
    s.accept(5);
    CHECK(s.sample(kRising).error().code == Errc::internal);
    CHECK_FALSE(s.forced());
  }
}

TEST_CASE("where one token only may come it is known without logits") {
  Sampler s = bound(greedy(), {{1, 2, 3}, {1, 2, 4}});
  CHECK(s.forced() == TokenId{1});
  s.accept(1);
  CHECK(s.forced() == TokenId{2});
  s.accept(2);
  CHECK_FALSE(s.forced());
  CHECK_FALSE(Sampler::create(greedy(), {kVocab, {kEos}, 42}, {})->forced());
}
