#include "kvtransfer/codec/parts/transform.h"

#include <algorithm>

#include "kvtransfer/codec/parts/signs.h"

namespace sluice::kv {

void draw_signs(const PartShape& p, CodecScratch& scratch) {
  scratch.signs.resize(p.width());
  for (std::uint32_t h = 0; h < p.heads; ++h)
    fill_signs(p.layer, p.kind, p.first_head + h,
               std::span(scratch.signs).subspan(std::size_t{h} * p.head_dim, p.head_dim));
}

RowTransform::RowTransform(const ClassSpec& c, bool rotated, const Kernels& k, CalibrationPtr calibration)
    : k_(k),
      calibration_(std::move(calibration)),
      rotates_(c.transform == Transform::hadamard && !rotated),
      calibrated_(c.calibrated) {}

bool RowTransform::supports(const PartShape& p) const noexcept {
  if (identity()) return true;
  if (p.head_dim > kMaxBookHeadDim) return false;
  return !calibrated_ ||
         (calibration_ != nullptr && p.layer < calibration_->layers && p.head_dim == calibration_->head_dim &&
          p.first_head < calibration_->kv_heads && p.heads <= calibration_->kv_heads - p.first_head);
}

PartRowsIn RowTransform::forward(const PartShape& p, PartRowsIn rows, CodecScratch& scratch) const {
  const std::size_t row_bytes = 2 * p.width();
  scratch.bytes.resize(std::max(scratch.bytes.size(), row_bytes * p.tokens));
  scratch.moved.clear();
  const float* shift = calibrated_ ? channels(calibration_->shift, p) : nullptr;
  const float* inverse = calibrated_ ? channels(calibration_->inverse, p) : nullptr;
  for (std::uint32_t r = 0; r < p.tokens; ++r) {
    std::byte* to = scratch.bytes.data() + r * row_bytes;
    k_.row_forward(rows[r], p.heads, p.head_dim, block(p), scratch.signs.data(), shift, inverse, to);
    scratch.moved.push_back(to);
  }
  return scratch.moved;
}

void RowTransform::backward(const PartShape& p, PartRowsOut rows, const CodecScratch& scratch) const {
  const float* shift = calibrated_ ? channels(calibration_->shift, p) : nullptr;
  const float* scale = calibrated_ ? channels(calibration_->scale, p) : nullptr;
  for (std::byte* row : rows) k_.row_backward(row, p.heads, p.head_dim, block(p), scratch.signs.data(), shift, scale);
}

const float* RowTransform::channels(const std::array<std::vector<float>, 2>& table, const PartShape& p) const noexcept {
  return table[static_cast<std::size_t>(p.kind)].data() +
         (std::size_t{p.layer} * calibration_->kv_heads + p.first_head) * p.head_dim;
}

}  // namespace sluice::kv
