#pragma once
// Codebooks of the quantizers that work under a vector's norm: what each symbol means for a vector of unit power.
#include <array>
#include <bit>
#include <cstdint>

namespace sluice::kv {

enum class BookKind : std::uint8_t {
  lloyd,    // Lloyd-Max levels of a unit Gaussian
  uniform,  // levels a step apart
};
/// How the scale of a vector is written.
enum class Scale : std::uint8_t {
  bf16,  // 16 bits, for books corrected after quantizing so that the error is least
  log8,  // 8 bits, eight steps per octave, chosen before quantizing; books only
};

struct Book {
  BookKind kind = BookKind::lloyd;
  std::uint32_t levels = 0, bits = 0;
  /// lloyd: symbol = k | sign << (bits - 1), k counts the midpoints below the magnitude. uniform: 0 is the lowest
  /// level.
  alignas(64) std::array<float, 256> value{};
  std::array<float, 7> midpoint{};  // lloyd: levels / 2 - 1 of them, ascending; the rest infinite
  float inverse_step = 0;           // uniform
  /// lloyd: midpoints in 1/64, such that the nearest of these is no less than them exactly from the midpoint on; and
  /// the magnitudes in 1/256.
  std::array<std::uint8_t, 7> cut{};
  std::array<std::int16_t, 8> mean{};
  /// What stands for 0: the middle level, or +k with the least magnitude.
  [[nodiscard]] std::uint8_t zero() const noexcept {
    return kind == BookKind::uniform ? static_cast<std::uint8_t>(levels / 2) : std::uint8_t{0};
  }
  /// Largest magnitude of a value.
  [[nodiscard]] float top() const noexcept {
    return kind == BookKind::uniform ? value[levels - 1] : value[levels / 2 - 1];
  }
};

/// levels: 4, 8 or 16.
[[nodiscard]] Book lloyd_book(std::uint32_t levels);
/// levels: odd, 3 to 255. step: between levels, in norms; shrink: how far a value lies below its level, in steps.
[[nodiscard]] Book uniform_book(std::uint32_t levels, float step, float shrink);

namespace log8 {
/// 2^(k/8), rounded to f32.
inline constexpr std::array<float, 8> kPow = {1.0F,        1.09050773F, 1.18920712F, 1.29683955F,
                                              1.41421356F, 1.54221083F, 1.68179283F, 1.83400809F};
/// 2^((k + 1/2) / 8): from here on the next code is nearer.
inline constexpr std::array<float, 8> kMid = {1.04427378F, 1.13878863F, 1.24185781F, 1.35425555F,
                                              1.47682615F, 1.61049033F, 1.75625216F, 1.91520656F};
inline constexpr int kLeastExponent = -24;  // of code 1

/// What a code stands for: 0 for 0, else 2^((code - 1) / 8 - 24).
[[nodiscard]] constexpr float value(std::uint8_t code) noexcept {
  if (code == 0) return 0.0F;
  const unsigned k = code - 1U;
  const auto exponent = static_cast<std::uint32_t>(static_cast<int>(k / 8) + kLeastExponent + 127);
  return kPow[k % 8] * std::bit_cast<float>(exponent << 23);
}

/// Code nearest to s >= 0 in octaves; ends of the range stand for all beyond, and 0 for less than half a step below.
[[nodiscard]] constexpr std::uint8_t code(float s) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(s);
  const int e = static_cast<int>(bits >> 23) - 127;
  if (e < kLeastExponent - 1) return 0;
  const float m = std::bit_cast<float>((bits & 0x7fffffU) | 0x3f800000U);
  int c = (e - kLeastExponent) * 8 + 1;
  for (const float mid : kMid) c += m >= mid ? 1 : 0;
  return static_cast<std::uint8_t>(c < 0 ? 0 : c > 255 ? 255 : c);
}
}  // namespace log8

}  // namespace sluice::kv
