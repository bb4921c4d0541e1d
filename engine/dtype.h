#pragma once
// Element types of weights and KV, and their conversions by bit arithmetic (round to nearest even).
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sluice::engine {

enum class DType : std::uint8_t { bf16, f16, f32 };

[[nodiscard]] constexpr std::size_t size_of(DType t) noexcept { return t == DType::f32 ? 4 : 2; }

[[nodiscard]] inline float bf16_to_f32(std::uint16_t h) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(h) << 16);
}

/// Exact for every f16 value, subnormals, infinities and NaN included.
[[nodiscard]] inline float f16_to_f32(std::uint16_t h) noexcept {
  const std::uint32_t sign = (h & 0x8000U) << 16;
  const std::uint32_t rest = (h & 0x7fffU) << 13;  // exponent and fraction where f32 has them, bias 112 too low
  if (rest >= 0x0f800000U) return std::bit_cast<float>(sign | 0x70000000U | rest);
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest) * 0x1p112F));
}

/// NaN stays NaN (quiet); everything else rounds to nearest, ties to even.
[[nodiscard]] inline std::uint16_t f32_to_bf16(float f) noexcept {
  const auto u = std::bit_cast<std::uint32_t>(f);
  if ((u & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((u >> 16) | 0x40U);
  return static_cast<std::uint16_t>((u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
}

}  // namespace sluice::engine
