#pragma once
// Figures of a model's KV measured offline, channel by channel: what classes with "calibrated" subtract and divide by
// before they quantize. Both ends of a transfer hold the same; its digest is part of those codecs' numbers.
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::kv {

struct Calibration {
  std::uint32_t layers = 0, kv_heads = 0, head_dim = 0;
  /// By kind: [layers, kv_heads, head_dim]. A value x is coded as (x - shift) * inverse and read as x * scale + shift.
  std::array<std::vector<float>, 2> shift, scale, inverse;
  std::uint64_t digest = 0;
};

/// Reads {"layers", "kv_heads", "head_dim", "key": {"shift": [...], "scale": [...]}, "value": {...}}; scales lie
/// between 2^-60 and 2^60, shifts within +-2^60. invalid_argument names what is wrong.
[[nodiscard]] Result<std::shared_ptr<const Calibration>> parse_calibration(std::string_view json);

}  // namespace sluice::kv
