#pragma once
// The inner loops over the exponents of bf16 values, one table per instruction set: what lossless parts do with them
// but for rANS. All tables give the same bytes in both directions, and accept and refuse the same bytes.
//
// Pointers may be unaligned. Decoding kernels never read past the sizes they are given and never write outside their
// output, whatever the bytes.
#include <cstddef>
#include <cstdint>

#include "kvtransfer/codec/kernels/coder.h"

namespace sluice::kv {

inline constexpr std::size_t kStreamLine = 64;

struct ExponentKernels {
  /// The largest exponent of n >= 1 values.
  std::uint8_t (*exponent_largest)(const std::byte* values, std::size_t n);
  /// n values, even. nibbles: n / 2; rest (sign << 7 | mantissa): n; escapes: n + kCoderSlack. Exponents from base to
  /// base + 14 become nibbles, others nibble 15 and an escape. Returns the number of escapes.
  std::size_t (*split_encode)(const std::byte* values, std::size_t n, std::uint8_t base, std::byte* nibbles,
                              std::byte* rest, std::byte* escapes);
  /// The inverse; base <= 241. Uses at most `count` escapes and returns how many, or count + 1 if there were too few.
  /// stream: values will not be read soon and may go past the caches, settle() after them.
  std::size_t (*split_decode)(const std::byte* nibbles, const std::byte* rest, std::size_t n, std::uint8_t base,
                              const std::byte* escapes, std::size_t count, std::byte* values, bool stream);
  /// n values <-> exponent bytes and sign << 7 | mantissa bytes.
  void (*exponent_split)(const std::byte* values, std::size_t n, std::uint8_t* exponents, std::byte* rest);
  void (*exponent_join)(const std::uint8_t* exponents, const std::byte* rest, std::size_t n, std::byte* values);

  /// Copies n lines of kStreamLine bytes past the caches; `to` is aligned to a line.
  void (*stream_lines)(std::byte* to, const std::byte* from, std::size_t n);
  /// Before anybody is told of what was streamed.
  void (*settle)();
};

/// As coder_kernels().
[[nodiscard]] const ExponentKernels& exponent_kernels(Isa isa) noexcept;

}  // namespace sluice::kv
