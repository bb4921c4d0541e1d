#pragma once
// Coders of a part's symbols that do not have a fixed size: rANS, and zstd and lz4 over packed symbols.
//
// Threading: a PlaneCoder is immutable; its writers and readers belong to one call and its scratch.
#include <memory>
#include <span>

#include "kvtransfer/codec/kernels/kernels.h"
#include "kvtransfer/codec/parts/class_spec.h"
#include "kvtransfer/codec/parts/part.h"

namespace sluice::kv {

/// Symbols that are quantized before they are coded, where no page asks for more: they stay in the second-level cache.
inline constexpr std::size_t kBatchSymbols = 65536;

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

/// Null for Coder::pack.
[[nodiscard]] std::unique_ptr<PlaneCoder> make_plane_coder(const ClassSpec& c, Isa isa);

}  // namespace sluice::kv
