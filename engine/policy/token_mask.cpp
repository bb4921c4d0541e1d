#include "engine/policy/token_mask.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

namespace sluice::engine {
namespace {

constexpr std::size_t kWordBits = 64;

/// In lanes, so that the compiler may take several at a time.
float highest(std::span<const float> x) {
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> best;
  best.fill(-std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) best[lane] = best[lane] < x[i + lane] ? x[i + lane] : best[lane];
  for (; i < x.size(); ++i) best[0] = std::max(best[0], x[i]);
  return *std::ranges::max_element(best);
}

}  // namespace

void set_bit(std::span<std::uint64_t> mask, TokenId t, bool on) noexcept {
  const auto i = static_cast<std::size_t>(t);
  const std::uint64_t bit = std::uint64_t{1} << (i % kWordBits);
  std::uint64_t& word = mask[i / kWordBits];
  word = on ? word | bit : word & ~bit;
}

bool has_bit(MaskWords mask, TokenId t) noexcept {
  const auto i = static_cast<std::size_t>(t);
  return (mask[i / kWordBits] >> (i % kWordBits) & 1U) != 0;
}

bool none(MaskWords mask) noexcept {
  return std::ranges::all_of(mask, [](std::uint64_t w) { return w == 0; });
}

std::optional<TokenId> only(MaskWords mask) noexcept {
  std::optional<TokenId> found;
  for (std::size_t w = 0; w < mask.size(); ++w) {
    if (mask[w] == 0) continue;
    if (found || !std::has_single_bit(mask[w])) return std::nullopt;
    found = static_cast<TokenId>(w * kWordBits + static_cast<std::size_t>(std::countr_zero(mask[w])));
  }
  return found;
}

std::vector<TokenId> tokens_of(MaskWords mask) {
  std::size_t count = 0;
  for (const std::uint64_t w : mask) count += static_cast<std::size_t>(std::popcount(w));
  std::vector<TokenId> out;
  out.reserve(count);
  for (std::size_t w = 0; w < mask.size(); ++w)
    for (std::uint64_t left = mask[w]; left != 0; left &= left - 1)
      out.push_back(static_cast<TokenId>(w * kWordBits + static_cast<std::size_t>(std::countr_zero(left))));
  return out;
}

std::optional<TokenId> best_of(std::span<const float> logits, MaskWords mask) {
  float best = -std::numeric_limits<float>::infinity();
  std::optional<TokenId> out;
  for (std::size_t w = 0; w < mask.size(); ++w) {
    if (mask[w] == 0) continue;
    const std::size_t first = w * kWordBits;
    // Bits are looked at one by one only where a logit is higher than all before, be it in the mask or not.
    if (highest(logits.subspan(first, std::min(kWordBits, logits.size() - first))) <= best) continue;
    for (std::uint64_t left = mask[w]; left != 0; left &= left - 1) {
      const std::size_t i = first + static_cast<std::size_t>(std::countr_zero(left));
      if (logits[i] <= best) continue;
      best = logits[i];
      out = static_cast<TokenId>(i);
    }
  }
  return out;
}

}  // namespace sluice::engine
