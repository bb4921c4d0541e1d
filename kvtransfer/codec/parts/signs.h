#pragma once
// The random signs of h4's transform: our own generator, fixed for ever under its version, so that every build on every
// machine draws the same.
#include <cstdint>
#include <span>

#include "kvtransfer/kv_layout.h"

namespace sluice::kv {

inline constexpr std::uint64_t kSignsVersion = 1;

/// splitmix64's output function (Steele, Lea, Flood 2014).
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// signs[i] = 0x8000 (minus) or 0, by bit i % 64 of the (i / 64)-th draw of the stream of (layer, kind, head).
inline void fill_signs(std::uint32_t layer, KvKind kind, std::uint32_t head, std::span<std::uint16_t> signs) noexcept {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;
  std::uint64_t state = mix64(kSignsVersion * kGolden);
  state = mix64(state ^ (std::uint64_t{layer} << 32 | std::uint64_t{static_cast<std::uint8_t>(kind)} << 24 | head));
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < signs.size(); ++i) {
    if (i % 64 == 0) word = mix64(state += kGolden);
    signs[i] = static_cast<std::uint16_t>((word >> (i % 64) & 1U) << 15);
  }
}

}  // namespace sluice::kv
