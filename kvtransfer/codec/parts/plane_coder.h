#pragma once
// Coders of a part's symbols, of no fixed size: rANS, and zstd and lz4 over packed symbols. One file per kind in
// coders/, and the table in plane_coder.cpp that knows them all.
//
// Threading: a PlaneCoder is immutable; its writers and readers belong to one call and its scratch.
#include <memory>
#include <span>

#include "kvtransfer/codec/kernels/kernels.h"
#include "kvtransfer/codec/parts/class_spec.h"
#include "kvtransfer/codec/parts/part.h"
#include "kvtransfer/codec/parts/quantizer.h"

namespace sluice::kv {

/// Symbols that are quantized before they are coded, where no page asks for more: they stay in the second-level cache.
inline constexpr std::size_t kBatchSymbols = 65536;
/// Two of rANS's blocks are a batch, since two are decoded side by side.
inline constexpr std::size_t kRansBlockSymbols = kBatchSymbols / 2;
/// Rows of `width` values in a block.
[[nodiscard]] constexpr std::uint32_t rans_block_rows(std::size_t width) noexcept {
  return width >= kRansBlockSymbols ? 1 : static_cast<std::uint32_t>(kRansBlockSymbols / width);
}

class PlaneWriter {
 public:
  virtual ~PlaneWriter() = default;
  /// Symbols of the next rows, in row order.
  virtual void rows(std::span<const std::uint8_t> symbols) = 0;
  /// After the last row: bytes written.
  virtual std::size_t finish() = 0;
};

class PlaneReader {
 public:
  virtual ~PlaneReader() = default;
  [[nodiscard]] virtual Result<> rows(std::span<std::uint8_t> symbols) = 0;
  /// After the last row: data_corrupt if anything is left.
  [[nodiscard]] virtual Result<> finish() = 0;
};

class PlaneCoder {
 public:
  virtual ~PlaneCoder() = default;
  [[nodiscard]] virtual bool supports(std::size_t width) const noexcept = 0;
  [[nodiscard]] virtual std::size_t max_bytes(const PartShape& p) const noexcept = 0;
  [[nodiscard]] virtual std::unique_ptr<PlaneWriter> writer(const PartShape& p, std::byte* out,
                                                            CodecScratch& scratch) const = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<PlaneReader>> reader(const PartShape& p, std::span<const std::byte> in,
                                                                    CodecScratch& scratch) const = 0;
};

/// Null where symbols are packed and not coded.
[[nodiscard]] std::unique_ptr<PlaneCoder> make_plane_coder(Coder coder, const Alphabet& alphabet, Isa isa);

}  // namespace sluice::kv
