#pragma once
// Probabilities of a rANS alphabet of 2 to 16 symbols, in 1/256, and what coders derive from them.
//
// A table is a plain value; making one is pure.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/result.h"

namespace sluice::kv {

struct RansTable {
  std::uint32_t symbols = 0;                                // 2..16
  alignas(16) std::array<std::uint8_t, 16> freq{};          // 1..255 where usable, 0 elsewhere; they sum to 256
  alignas(16) std::array<std::uint8_t, 16> cum{};           // sum of the frequencies before
  alignas(16) std::array<std::uint8_t, 16> rcp_low{};       // min(65535, floor(65536 / freq)), low byte
  alignas(16) std::array<std::uint8_t, 16> rcp_high{};      // and high byte
  alignas(64) std::array<std::uint8_t, 256> slot_symbol{};  // symbol of each of the 256 slots
  std::uint8_t likeliest = 0;                               // pads the last step
};

/// data_corrupt unless there are 2 to 16 frequencies, each >= 1, that sum to 256.
[[nodiscard]] Result<RansTable> rans_table(std::span<const std::uint16_t> freqs);

/// The best table for counts.size() (2..16) symbols as often seen as counts say; every one keeps at least 1/256.
[[nodiscard]] RansTable rans_table_for(std::span<const std::uint32_t> counts);

/// For Lloyd-Max codes of a unit Gaussian with 2, 3 or 4 bits: code = magnitude index, sign in the top bit.
[[nodiscard]] const RansTable& lloyd_table(unsigned bits);

}  // namespace sluice::kv
