#pragma once
// The inner loops of the codecs, one table per instruction set. All tables give the same bytes, bit for bit, in both
// directions: sums have a fixed order (16 lanes, then halves), nothing is contracted, rounding is to nearest even.
//
// All pointers may be unaligned; bf16 values and scales are two little-endian bytes.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::kv {

enum class Isa : std::uint8_t { scalar, avx2, avx512 };
[[nodiscard]] std::string_view name(Isa isa) noexcept;
/// What this processor can run, slowest first.
[[nodiscard]] std::span<const Isa> supported_isas() noexcept;

/// Largest scale of q8: 127 of it still round to a finite bf16.
inline constexpr std::uint16_t kQ8MaxScale = 0x7c00;

/// h4: one row = `heads` vectors of head_dim values, each cut into blocks of `block` values (a power of two) that are
/// transformed on their own.
struct H4Shape {
  std::uint32_t heads = 0, head_dim = 0, block = 0;
};
/// Unit-Gaussian Lloyd-Max magnitudes, 4 bits with sign (Max 1960).
inline constexpr std::array<float, 8> kH4Centroids = {.1284F,  .3880F,  .6568F,  .9423F,
                                                      1.2562F, 1.6180F, 2.0690F, 2.7326F};
/// Largest scale of h4: sums of `block` centroids times it stay finite.
[[nodiscard]] constexpr std::uint16_t h4_max_scale(std::uint32_t block) noexcept {
  std::uint32_t log2 = 0;
  while ((1U << log2) < block) ++log2;
  return static_cast<std::uint16_t>((127 + 125 - log2) << 7);
}

struct Kernels {
  Isa isa;
  /// Keys: one scale per channel over n rows. rows: n x [channels] bf16; scales: [channels]; q: [n, channels] int8.
  void (*q8_key_encode)(const std::byte* const* rows, std::uint32_t n, std::uint32_t channels, std::byte* scales,
                        std::byte* q);
  void (*q8_key_decode)(const std::byte* scales, const std::byte* q, std::uint32_t n, std::uint32_t channels,
                        std::byte* const* rows);
  /// Values: one row, one scale per head. scales: [heads]; q: [heads, head_dim] int8.
  void (*q8_value_encode)(const std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales,
                          std::byte* q);
  void (*q8_value_decode)(const std::byte* scales, const std::byte* q, std::uint32_t heads, std::uint32_t head_dim,
                          std::byte* row);
  /// One row. signs: [heads, head_dim], 0 or 0x8000; scales: [heads]; codes: [heads, head_dim / 2], value i in the low
  /// and value i + head_dim / 2 in the high four bits of byte i.
  void (*h4_encode)(const H4Shape& s, const std::uint16_t* signs, const std::byte* row, std::byte* scales,
                    std::byte* codes);
  void (*h4_decode)(const H4Shape& s, const std::uint16_t* signs, const std::byte* scales, const std::byte* codes,
                    std::byte* row);
  /// n bf16 values <-> exponent bytes and (sign, mantissa) bytes.
  void (*ll_split)(const std::byte* in, std::size_t n, std::byte* exponents, std::byte* rest);
  void (*ll_join)(const std::byte* exponents, const std::byte* rest, std::size_t n, std::byte* out);
};

/// isa must be supported.
[[nodiscard]] const Kernels& kernels(Isa isa) noexcept;

}  // namespace sluice::kv
