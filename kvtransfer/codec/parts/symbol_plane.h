#pragma once
// A plane of symbols through rANS, block by block: what a quantizer's codes become on the wire.
//
// Layout: [table] [u32 length of each block, top bit: stored] [blocks]; docs/wire_format.md has the details. Both sides
// compute the number of symbols and of blocks from the shape. Up to 16 levels are coded as they are; of more levels,
// the 15 in the middle (or those of a map) are, and the rest are escapes. A block that would not shrink is stored
// packed.
//
// Threading: one thread per object. Failure: the writer has none; the reader treats its input as hostile, gives
// data_corrupt and never reads or writes out of bounds. Every symbol read back is < levels.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/result.h"
#include "kvtransfer/codec/kernels/coder.h"

namespace sluice::kv {

inline constexpr std::uint32_t kMaxBlockSymbols = 65'536;

struct PlaneSpec {
  unsigned levels = 0;              // 2..256
  std::size_t total = 0;            // symbols, >= 1
  std::uint32_t block_symbols = 0;  // 1..kMaxBlockSymbols; the last block may be shorter
  const RansTable* fixed =
      nullptr;                     // outlives writer and reader; nullptr: measured from the first block and sent along
  const SymbolMap* map = nullptr;  // outlives them; nullptr: the window in the middle. Not used for <= 16 levels
  [[nodiscard]] std::size_t blocks() const noexcept { return (total + block_symbols - 1) / block_symbols; }
  [[nodiscard]] std::size_t prefix_bytes() const noexcept { return (fixed ? 0 : 16) + 4 * blocks(); }
  /// Symbols that a table for this plane has.
  [[nodiscard]] unsigned alphabet() const noexcept { return levels <= 16 ? levels : 16; }
};

/// Upper bound of a plane, for any symbols and any table.
[[nodiscard]] std::size_t max_plane_bytes(unsigned levels, std::size_t total, std::uint32_t block_symbols) noexcept;

/// 15 bytes from `first` (<= 241) on as symbols, all others as escapes.
[[nodiscard]] SymbolMap window_map(unsigned first) noexcept;

class SymbolWriter {
 public:
  /// out: max_plane_bytes(), the caller's until finish().
  SymbolWriter(const CoderKernels& kernels, const PlaneSpec& spec, std::byte* out);
  /// The next block or, for more speed, blocks: as many whole ones as fit in symbols.size(), which only at the plane's
  /// end may have a short one. Each symbol < levels.
  void block(std::span<const std::uint8_t> symbols);
  /// After spec.total symbols; the plane's length.
  [[nodiscard]] std::size_t finish() const noexcept { return static_cast<std::size_t>(at_ - out_); }

 private:
  void measure(std::span<const std::uint8_t> symbols);
  std::uint32_t code(std::span<const std::uint8_t> symbols);

  const CoderKernels& k_;
  PlaneSpec spec_;
  SymbolMap map_;
  RansTable table_;
  bool has_table_;
  std::byte* out_;
  std::byte* directory_;
  std::byte* at_;
};

class SymbolReader {
 public:
  /// in: exactly the plane; it stays the caller's and unchanged until the last block. Checks the table and all lengths.
  [[nodiscard]] static Result<SymbolReader> open(const CoderKernels& kernels, const PlaneSpec& spec,
                                                 std::span<const std::byte> in);
  /// The next block or blocks, as for the writer; symbols are unspecified after an error.
  [[nodiscard]] Result<> block(std::span<std::uint8_t> symbols);
  /// data_corrupt unless all blocks were read.
  [[nodiscard]] Result<> finish() const;

 private:
  SymbolReader(const CoderKernels& kernels, const PlaneSpec& spec, std::span<const std::byte> in);
  [[nodiscard]] Result<> stored(std::span<const std::byte> in, std::span<std::uint8_t> symbols) const;
  [[nodiscard]] Result<> coded(std::span<RansBlock> blocks, std::span<const std::span<const std::byte>> escapes) const;

  const CoderKernels* k_;
  PlaneSpec spec_;
  SymbolMap map_;
  RansTable table_;
  std::span<const std::byte> in_;
  std::size_t next_ = 0, at_ = 0;  // block to come, and where in in_ it is
};

}  // namespace sluice::kv
