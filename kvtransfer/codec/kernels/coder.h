#pragma once
// The inner loops of the entropy coders, one table per instruction set. All tables give the same bytes in both
// directions, and accept and refuse the same bytes. docs/wire_format.md says what the bytes are.
//
// rANS: 64 lanes of 16-bit states in [256, 65536), 8-bit probabilities, refilled by one byte; symbol i belongs to lane
// i % 64. Pointers may be unaligned. Decoding kernels never read past the sizes they are given and never write outside
// their output, whatever the bytes.
#include <cstddef>
#include <cstdint>

#include "kvtransfer/codec/kernels/kernels.h"
#include "kvtransfer/codec/kernels/rans_table.h"

namespace sluice::kv {

inline constexpr std::size_t kRansLanes = 64, kRansStateBytes = 2 * kRansLanes;
/// Kernels that emit bytes of a number not known before may use this much more of their output than they return.
inline constexpr std::size_t kCoderSlack = 64;

/// A coded block to be decoded.
struct RansBlock {
  const std::byte* states;  // kRansStateBytes
  const std::byte* bytes;   // all of them belong to the block
  std::size_t size;
  std::uint8_t* symbols;
  std::size_t count;  // of symbols, >= 1
};

/// From bytes to the 16 symbols of a rANS alphabet; symbol 15 is the escape.
struct SymbolMap {
  alignas(64) std::array<std::uint8_t, 256> to{};
  alignas(16) std::array<std::uint8_t, 16> from{};  // from[15] is not used
};

struct CoderKernels {
  Isa isa;
  /// Codes n >= 1 symbols, each < table.symbols. states: kRansStateBytes. Bytes are written downwards from `end`, of
  /// which there must be n + kRansLanes + kCoderSlack; returns how many there are.
  std::size_t (*rans_encode)(const RansTable& table, const std::uint8_t* symbols, std::size_t n, std::byte* states,
                             std::byte* end);
  /// False unless each block's lanes end where encoding began and every byte was consumed. Two or more blocks are
  /// decoded side by side.
  bool (*rans_decode)(const RansTable& table, const RansBlock* blocks, std::size_t count);
  /// How often each of the symbols 0 to 15 occurs; other bytes are not counted.
  void (*count_symbols)(const std::uint8_t* symbols, std::size_t n, std::uint32_t counts[16]);
  /// symbols[i] = map.to[in[i]]; bytes that map to 15 are also appended to `escapes` (n + kCoderSlack), returns their
  /// number.
  std::size_t (*map_symbols)(const SymbolMap& map, const std::uint8_t* in, std::size_t n, std::uint8_t* symbols,
                             std::byte* escapes);
  /// The inverse, in place. False unless exactly `count` symbols are escapes.
  bool (*unmap_symbols)(const SymbolMap& map, std::uint8_t* symbols, std::size_t n, const std::byte* escapes,
                        std::size_t count);
  /// Two symbols a byte, the first in the low four bits; (n + 1) / 2 bytes.
  void (*pack4)(const std::uint8_t* symbols, std::size_t n, std::byte* out);
  void (*unpack4)(const std::byte* in, std::size_t n, std::uint8_t* symbols);
  /// n >= 1.
  std::uint8_t (*largest)(const std::uint8_t* symbols, std::size_t n);
};

/// isa must be supported. Where the processor lacks AVX-512 VBMI or VBMI2, Isa::avx512 gives the AVX2 table.
[[nodiscard]] const CoderKernels& coder_kernels(Isa isa) noexcept;

}  // namespace sluice::kv
