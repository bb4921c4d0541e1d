#pragma once
// A calibration (parts/calibration.h) as it lies in a model's directory, kv_calibration.json.
#include <string_view>

#include "common/result.h"
#include "kvtransfer/codec/parts/calibration.h"

namespace sluice::kv {

/// Reads {"layers", "kv_heads", "head_dim", "key": {"shift": [...], "scale": [...]}, "value": {...}}; scales lie
/// between 2^-60 and 2^60, shifts within +-2^60. invalid_argument names what is wrong.
[[nodiscard]] Result<CalibrationPtr> parse_calibration(std::string_view json);

}  // namespace sluice::kv
