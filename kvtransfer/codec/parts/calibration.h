#pragma once
// Figures of a model's KV measured offline, channel by channel: what classes with "calibrated" subtract and divide by
// before they quantize. Both ends of a transfer hold the same; its digest is part of those codecs' numbers.
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace sluice::kv {

struct Calibration {
  std::uint32_t layers = 0, kv_heads = 0, head_dim = 0;
  /// By kind: [layers, kv_heads, head_dim]. A value x is coded as (x - shift) * inverse and read as x * scale + shift.
  std::array<std::vector<float>, 2> shift, scale, inverse;
  std::uint64_t digest = 0;
};

using CalibrationPtr = std::shared_ptr<const Calibration>;

}  // namespace sluice::kv
