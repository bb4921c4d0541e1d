#pragma once
// Sets of token ids as bits, and what is done to a row of logits under one: bit id % 64 of word id / 64.
// Threading: pure functions. Failure: none; sizes are the caller's to get right.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/ids.h"

namespace sluice::engine {

using MaskWords = std::span<const std::uint64_t>;

[[nodiscard]] constexpr std::size_t mask_words(std::size_t tokens) noexcept { return (tokens + 63) / 64; }
void set_bit(std::span<std::uint64_t> mask, TokenId t, bool on) noexcept;
[[nodiscard]] bool has_bit(MaskWords mask, TokenId t) noexcept;
[[nodiscard]] bool none(MaskWords mask) noexcept;
/// The only token in it; nothing where there are none or several.
[[nodiscard]] std::optional<TokenId> only(MaskWords mask) noexcept;
/// Its tokens, ascending.
[[nodiscard]] std::vector<TokenId> tokens_of(MaskWords mask);
/// The token in it with the highest logit, lowest id on ties; nothing where it has none above -inf.
/// logits: [vocab], free of NaN; mask has no token beyond.
[[nodiscard]] std::optional<TokenId> best_of(std::span<const float> logits, MaskWords mask);

}  // namespace sluice::engine
