#pragma once
// What happens to rows before they are quantized, and undone after they are read: channels are shifted and scaled by a
// model's calibration, then each head is rotated (random signs, Walsh-Hadamard).
//
// Threading: immutable; scratch is the caller's. Failure: none.
#include "kvtransfer/codec/kernels/kernels.h"
#include "kvtransfer/codec/parts/calibration.h"
#include "kvtransfer/codec/parts/class_spec.h"
#include "kvtransfer/codec/parts/part.h"

namespace sluice::kv {

/// Largest power of two that divides head_dim: the block that is rotated.
[[nodiscard]] constexpr std::uint32_t hadamard_block(std::uint32_t head_dim) noexcept {
  return head_dim & (~head_dim + 1);
}

/// The signs of a part's rotation, [heads, head_dim], to scratch.signs.
void draw_signs(const PartShape& p, CodecScratch& scratch);

class RowTransform {
 public:
  /// rotated: the quantizer rotates by itself. calibration may be null where c is not calibrated.
  RowTransform(const ClassSpec& c, bool rotated, const Kernels& k, CalibrationPtr calibration);
  /// Rows are left as they are; then neither forward() nor backward() is to be called.
  [[nodiscard]] bool identity() const noexcept { return !rotates_ && !calibrated_; }
  [[nodiscard]] bool supports(const PartShape& p) const noexcept;
  /// The rows as they are to be quantized, in scratch; after draw_signs() where the class is rotated.
  [[nodiscard]] PartRowsIn forward(const PartShape& p, PartRowsIn rows, CodecScratch& scratch) const;
  /// In place.
  void backward(const PartShape& p, PartRowsOut rows, const CodecScratch& scratch) const;

 private:
  /// A part's channels in one of the calibration's tables.
  [[nodiscard]] const float* channels(const std::array<std::vector<float>, 2>& table,
                                      const PartShape& p) const noexcept;
  [[nodiscard]] std::uint32_t block(const PartShape& p) const noexcept {
    return rotates_ ? hadamard_block(p.head_dim) : 1;
  }

  const Kernels& k_;
  CalibrationPtr calibration_;
  bool rotates_, calibrated_;
};

}  // namespace sluice::kv
