#pragma once
// The plane of bf16 scales that quantizers put in front of their codes.
#include <algorithm>
#include <cstdint>
#include <span>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/bf16.h"

namespace sluice::kv {

/// Every scale is one that an encoder writes: then no decoded value is NaN and no table or sum overflows.
[[nodiscard]] inline bool all_good_scales(std::span<const std::byte> plane, std::uint16_t max) noexcept {
  bool good = true;
  for (std::size_t i = 0; i + 1 < plane.size(); i += 2)
    good &= good_scale(load_le<std::uint16_t>(plane.data() + i), max);
  return good;
}

}  // namespace sluice::kv
