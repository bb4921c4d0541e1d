#pragma once
// The inner loops of the codecs, one table per instruction set. All tables give the same bytes, bit for bit, in both
// directions: sums have a fixed order (16 lanes, then halves), nothing is contracted, rounding is to nearest even.
//
// All pointers may be unaligned; bf16 values and scales are two little-endian bytes. A row is the values of some heads
// of one token. head_dim is even; where symbols are packed to other than 8 or 4 bits it is a multiple of 8.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kvtransfer/codec/kernels/book.h"

namespace sluice::kv {

enum class Isa : std::uint8_t { scalar, avx2, avx512 };
[[nodiscard]] std::string_view name(Isa isa) noexcept;
/// What this processor can run, slowest first.
[[nodiscard]] std::span<const Isa> supported_isas() noexcept;

/// Largest scale of absmax and fp8: 448 of it still round to a finite bf16.
inline constexpr std::uint16_t kAbsmaxMaxScale = 0x7b00;
/// minmax: values beyond +-2^110 are taken for that; so no sum of it overflows.
inline constexpr float kMinmaxMost = 0x1p110F;
inline constexpr std::uint16_t kMinmaxMaxLow = 0x7680, kMinmaxMaxScale = 0x7780;

/// Rows to read: n of them, and after them `ahead` more that will be read next, so that they can be fetched in time.
/// stream: what they become will not be read soon; kernels may write it past the caches.
struct RowsIn {
  const std::byte* const* at = nullptr;
  std::uint32_t n = 0, ahead = 0;
  bool stream = false;
};
/// Rows to write. stream: they will not be read soon; kernels may write past the caches.
struct RowsOut {
  std::byte* const* at = nullptr;
  std::uint32_t n = 0;
  bool stream = false;
};

/// Vectors of head_dim values, each cut into blocks of `block` values (a power of two) that are transformed on their
/// own; block 1: not transformed. Encoders transform 16-bit integers, which is exact in any order.
struct BookShape {
  std::uint32_t heads = 0, head_dim = 0, block = 1;
  Scale scale = Scale::bf16;
  const Book* book = nullptr;
  /// Values of unit power become integers times `gain`, such that their transform cannot overflow. The transform times
  /// weight / 2^15, rounded, counts 1/64 of a norm (lloyd) or steps (uniform).
  float gain = 0;
  std::int16_t weight = 0;
  float root = 1;  // of block
};
/// With gain, weight and root filled in.
[[nodiscard]] BookShape make_book_shape(std::uint32_t heads, std::uint32_t head_dim, std::uint32_t block, Scale scale,
                                        const Book& book) noexcept;
inline constexpr std::uint32_t kMaxBookHeadDim = 1024;
/// Largest bf16 scale of a book: sums of `block` values times it stay finite. Values of lloyd are below 2^2, of uniform
/// below 2^11.
[[nodiscard]] constexpr std::uint16_t book_max_scale(BookKind kind, std::uint32_t block) noexcept {
  std::uint32_t log2 = 0;
  while ((1U << log2) < block) ++log2;
  return static_cast<std::uint16_t>((127 + (kind == BookKind::lloyd ? 125U : 115U) - log2) << 7);
}
[[nodiscard]] constexpr std::size_t scale_bytes(Scale s) noexcept { return s == Scale::bf16 ? 2 : 1; }

struct Kernels {
  Isa isa;
  /// One int8 scale per channel over all rows. rows: [channels] bf16; scales: [channels]; q: [rows, channels] int8.
  void (*absmax8_page_encode)(RowsIn rows, std::uint32_t channels, std::byte* scales, std::byte* q);
  void (*absmax8_page_decode)(const std::byte* scales, const std::byte* q, std::uint32_t channels, RowsOut rows);
  /// One scale per row and head. scales: [rows, heads]; q: [rows, heads, head_dim] int8.
  void (*absmax8_encode)(RowsIn rows, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales, std::byte* q);
  void (*absmax8_decode)(const std::byte* scales, const std::byte* q, std::uint32_t heads, std::uint32_t head_dim,
                         RowsOut rows);
  /// As absmax8, symbols -7..7 + 8 packed to 4 bits.
  void (*absmax4_encode)(RowsIn rows, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales, std::byte* codes);
  void (*absmax4_decode)(const std::byte* scales, const std::byte* codes, std::uint32_t heads, std::uint32_t head_dim,
                         RowsOut rows);
  /// As absmax8, codes e4m3 (sign, 4 bits exponent with bias 7, 3 bits mantissa).
  void (*fp8_encode)(RowsIn rows, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales, std::byte* codes);
  void (*fp8_decode)(const std::byte* scales, const std::byte* codes, std::uint32_t heads, std::uint32_t head_dim,
                     RowsOut rows);
  /// minmax. params: [channels] scales, then [channels] lows; symbols: [rows, channels] bytes below levels.
  void (*minmax_page_encode)(RowsIn rows, std::uint32_t channels, std::uint32_t levels, std::byte* params,
                             std::uint8_t* symbols);
  void (*minmax_page_decode)(const std::byte* params, const std::uint8_t* symbols, std::uint32_t channels,
                             RowsOut rows);
  /// Rows of `groups` groups of `group` values. params: for each row [groups] scales, then [groups] lows.
  void (*minmax_encode)(RowsIn rows, std::uint32_t groups, std::uint32_t group, std::uint32_t levels, std::byte* params,
                        std::uint8_t* symbols);
  void (*minmax_decode)(const std::byte* params, const std::uint8_t* symbols, std::uint32_t groups, std::uint32_t group,
                        RowsOut rows);
  /// signs: [heads, head_dim], 0 or 0x8000 (not read where block is 1); scales: [rows, heads]; symbols: [rows, heads,
  /// head_dim], below the book's levels.
  void (*book_encode)(const BookShape& s, const std::uint16_t* signs, RowsIn rows, std::byte* scales,
                      std::uint8_t* symbols);
  void (*book_decode)(const BookShape& s, const std::uint16_t* signs, const std::byte* scales,
                      const std::uint8_t* symbols, RowsOut rows);
  /// The same with packed symbols: codes: [rows, heads, head_dim * bits / 8].
  void (*book_encode_packed)(const BookShape& s, const std::uint16_t* signs, RowsIn rows, std::byte* scales,
                             std::byte* codes);
  void (*book_decode_packed)(const BookShape& s, const std::uint16_t* signs, const std::byte* scales,
                             const std::byte* codes, RowsOut rows);
  /// Vectors of dim symbols of `bits` (1..8) <-> dim * bits / 8 bytes each, as planes of 4, 2 and 1 bits of the symbol,
  /// lowest bits first. Plane of 4: value i in the low and i + dim/2 in the high half of byte i. Plane of 2: values i,
  /// i + dim/4, ... from the lowest bits of byte i up. Plane of 1: bit j of byte i is value 8i + j. 8 bits: as they
  /// are.
  void (*pack)(std::uint32_t bits, std::size_t vectors, std::uint32_t dim, const std::uint8_t* symbols,
               std::byte* codes);
  void (*unpack)(std::uint32_t bits, std::size_t vectors, std::uint32_t dim, const std::byte* codes,
                 std::uint8_t* symbols);
  /// One row, in f32 between: (x - shift) * inverse per channel (either null: not), then random signs and an
  /// orthonormal transform of each block (block 1: not). And back: inverse transform, signs, x * scale + shift.
  void (*row_forward)(const std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::uint32_t block,
                      const std::uint16_t* signs, const float* shift, const float* inverse, std::byte* out);
  void (*row_backward)(std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::uint32_t block,
                       const std::uint16_t* signs, const float* shift, const float* scale);
};

/// isa must be supported.
[[nodiscard]] const Kernels& kernels(Isa isa) noexcept;

}  // namespace sluice::kv
