#include "engine/policy/token_mask.h"

#include <catch2/catch.hpp>
#include <limits>
#include <random>

using namespace sluice;
using namespace sluice::engine;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<std::uint64_t> mask_of(std::size_t tokens, const std::vector<TokenId>& set) {
  std::vector<std::uint64_t> out(mask_words(tokens));
  for (const TokenId t : set) set_bit(out, t, true);
  return out;
}

}  // namespace

TEST_CASE("a mask holds what was set") {
  auto m = mask_of(200, {0, 63, 64, 199});
  CHECK(m.size() == 4);
  CHECK(tokens_of(m) == std::vector<TokenId>{0, 63, 64, 199});
  CHECK(has_bit(m, 64));
  CHECK_FALSE(has_bit(m, 65));
  set_bit(m, 64, false);
  CHECK(tokens_of(m) == std::vector<TokenId>{0, 63, 199});
  CHECK_FALSE(none(m));
  CHECK(none(mask_of(200, {})));
}

TEST_CASE("the only token of a mask is known, and that there are several") {
  CHECK(only(mask_of(200, {})) == std::nullopt);
  CHECK(only(mask_of(200, {131})) == TokenId{131});
  CHECK(only(mask_of(200, {130, 131})) == std::nullopt);
  CHECK(only(mask_of(200, {1, 131})) == std::nullopt);
}

TEST_CASE("the best token under a mask is the one that looking at each finds") {
  std::mt19937 rng(20261130);
  for (int round = 0; round < 400; ++round) {
    const std::size_t vocab = 1 + rng() % 400;
    std::vector<float> logits(vocab);
    // Few values, so that there are ties; some are -inf.
    for (float& x : logits) x = rng() % 9 == 0 ? -kInf : static_cast<float>(static_cast<int>(rng() % 12)) - 6;
    std::vector<std::uint64_t> mask(mask_words(vocab));
    const auto dense = rng() % 65;
    for (std::size_t t = 0; t < vocab; ++t) set_bit(mask, static_cast<TokenId>(t), rng() % 64 < dense);
    std::optional<TokenId> best;
    for (std::size_t t = 0; t < vocab; ++t) {
      if (!has_bit(mask, static_cast<TokenId>(t)) || logits[t] == -kInf) continue;
      if (!best || logits[t] > logits[static_cast<std::size_t>(*best)]) best = static_cast<TokenId>(t);
    }
    REQUIRE(best_of(logits, mask) == best);
  }
}
