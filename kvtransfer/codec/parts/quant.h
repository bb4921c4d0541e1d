#pragma once
// A lossy part: transform, quantizer, coder. Layout, each plane beginning at a multiple of 16 bytes from the part's
// first: scales (docs/wire_format.md has their order) | symbols, packed or coded.
#include <memory>

#include "kvtransfer/codec/kernels/kernels.h"
#include "kvtransfer/codec/parts/calibration.h"
#include "kvtransfer/codec/parts/class_spec.h"
#include "kvtransfer/codec/parts/part.h"

namespace sluice::kv {

/// c has a quantizer; calibration may be null where c is not calibrated.
[[nodiscard]] std::unique_ptr<PartCodec> make_quant_part(const ClassSpec& c, Isa isa, CalibrationPtr calibration);

/// Pages of `page` tokens; the last takes what is left, from half to one and a half pages, so that no scale serves only
/// a few tokens of a long part.
[[nodiscard]] constexpr std::uint32_t pages_of(std::uint32_t tokens, std::uint32_t page) noexcept {
  const std::uint32_t n = (tokens + page / 2) / page;
  return n == 0 ? 1 : n;
}

}  // namespace sluice::kv
