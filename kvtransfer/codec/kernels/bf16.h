#pragma once
// bf16 <-> f32 by bit arithmetic; what every codec kernel means by it, on every instruction set.
#include <bit>
#include <cstdint>

namespace sluice::kv {

[[nodiscard]] constexpr float bf16_to_f32(std::uint16_t h) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(h) << 16);
}

/// Round to nearest, ties to even. For finite input; decoders make no other.
[[nodiscard]] constexpr std::uint16_t f32_to_bf16(float f) noexcept {
  const auto u = std::bit_cast<std::uint32_t>(f);
  return static_cast<std::uint16_t>((u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
}

/// Smallest bf16 >= f, for finite f >= 0.
[[nodiscard]] constexpr std::uint16_t f32_to_bf16_up(float f) noexcept {
  return static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(f) + 0xffffU) >> 16);
}

inline constexpr std::uint16_t kBf16Sign = 0x8000, kBf16Abs = 0x7fff, kBf16Inf = 0x7f80, kBf16Max = 0x7f7f,
                               kBf16MinNormal = 0x0080;

/// A scale as encoders write them: zero, or normal and at most `max`. Decoders refuse any other.
[[nodiscard]] constexpr bool good_scale(std::uint16_t bits, std::uint16_t max) noexcept {
  return bits == 0 || (bits >= kBf16MinNormal && bits <= max);
}

}  // namespace sluice::kv
