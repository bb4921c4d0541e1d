#pragma once
// How a class of values is coded, as plain data: transform x quantizer x coder. Profiles name classes (profile/spec.h),
// which have been checked when a part is made of one.
#include <bit>
#include <cstdint>
#include <string>

#include "kvtransfer/codec/kernels/book.h"

namespace sluice::kv {

enum class Transform : std::uint8_t { none, hadamard };
enum class QuantizerKind : std::uint8_t {
  none,     // lossless
  absmax,   // symmetric integers under the largest magnitude
  fp8,      // e4m3 under the largest magnitude
  lloyd,    // Lloyd-Max levels of a unit Gaussian, under the norm
  uniform,  // a uniform step, in units of the norm
  minmax,   // `levels` from the smallest to the largest
};
/// Which values share a scale: those of one token and head (or `group` of them), or those of one channel over a page.
enum class Axis : std::uint8_t { token, channel };
enum class Coder : std::uint8_t { pack, rans, zstd, lz4, raw, split4, exp_rans };

struct ClassSpec {
  std::string name;
  Transform transform = Transform::none;
  QuantizerKind quantizer = QuantizerKind::none;
  std::uint32_t levels = 0;  // symbols; absmax: 255 or 15, fp8: 256, lloyd: 4, 8 or 16, uniform: odd
  float step = 0;            // uniform: distance of levels, in norms
  float shrink = 0;          // uniform: how far a level's value lies below its middle, in steps
  Axis axis = Axis::token;
  std::uint32_t page = 64;  // channel axis: tokens
  std::uint32_t group = 0;  // token axis, minmax: values; 0 = the whole head
  Scale scale = Scale::bf16;
  Coder coder = Coder::raw;
  bool calibrated = false;  // each channel shifted and scaled first, by figures measured offline
  [[nodiscard]] bool lossless() const noexcept { return quantizer == QuantizerKind::none; }
  /// Bits of a packed symbol.
  [[nodiscard]] std::uint32_t bits() const noexcept {
    return levels < 2 ? 0U : static_cast<std::uint32_t>(std::bit_width(levels - 1));
  }
};

inline constexpr std::uint32_t kMaxPage = 4096;

}  // namespace sluice::kv
