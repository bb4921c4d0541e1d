#pragma once
// A part: the values of consecutive heads, of one segment's tokens, that share one class (transform, quantizer, coder).
// A segment is a header and its parts; see pipeline.h.
//
// Threading: const methods are thread-safe; each thread brings its own CodecScratch.
// Failure: encoding has none; decode treats its input as hostile.
#include <cstdint>
#include <memory>
#include <span>

#include "common/result.h"
#include "kvtransfer/codec/kernels/kernels.h"
#include "kvtransfer/codec/parts/calibration.h"
#include "kvtransfer/codec/parts/class_spec.h"
#include "kvtransfer/codec/parts/scratch.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::kv {

struct PartShape {
  std::uint32_t tokens = 0, heads = 0, head_dim = 0;  // each >= 1; head_dim even
  KvKind kind = KvKind::key;
  std::uint32_t layer = 0, first_head = 0;
  [[nodiscard]] std::size_t width() const noexcept { return std::size_t{heads} * head_dim; }  // values of a row
  [[nodiscard]] std::size_t values() const noexcept { return width() * tokens; }
};

/// Row t of a part: width() bf16 values at any alignment. One pointer per token.
using PartRowsIn = std::span<const std::byte* const>;
using PartRowsOut = std::span<std::byte* const>;

/// Planes and parts begin at multiples of 16 bytes.
[[nodiscard]] constexpr std::size_t align16(std::size_t n) noexcept { return (n + 15) & ~std::size_t{15}; }

/// Parts of at least so many rows are written past the caches: whoever reads them comes later.
inline constexpr std::size_t kStreamRows = 64;

class PartCodec {
 public:
  virtual ~PartCodec() = default;
  [[nodiscard]] virtual bool lossless() const noexcept = 0;
  [[nodiscard]] virtual bool supports(const PartShape& p) const noexcept = 0;
  /// Upper bound of encode()'s result.
  [[nodiscard]] virtual std::size_t max_bytes(const PartShape& p) const noexcept = 0;
  /// Writes to out (max_bytes() long) and returns the bytes used. rows.size() == p.tokens.
  [[nodiscard]] virtual std::size_t encode(const PartShape& p, PartRowsIn rows, std::byte* out,
                                           CodecScratch& scratch) const = 0;
  /// Reads exactly in.size() bytes; data_corrupt for anything that encode() could not have written as far as that can
  /// be told from the sizes, and never a read or write out of bounds.
  [[nodiscard]] virtual Result<> decode(const PartShape& p, std::span<const std::byte> in, PartRowsOut rows,
                                        CodecScratch& scratch) const = 0;
};

/// What codes the parts of a class, which was checked; calibration may be null where c is not calibrated.
[[nodiscard]] std::unique_ptr<PartCodec> make_part(const ClassSpec& c, Isa isa, const CalibrationPtr& calibration);

}  // namespace sluice::kv
