#include "engine/cpu/rope_table.h"

#include <algorithm>
#include <cmath>

namespace sluice::engine::cpu {

bool RopeTable::holds(const std::int32_t* positions, std::uint32_t rows, const float* inv_freq, std::uint32_t half,
                      float factor) const {
  return factor == factor_ && half == half_ && rows == positions_.size() &&
         std::equal(positions_.begin(), positions_.end(), positions) &&
         std::equal(inv_freq_.begin(), inv_freq_.end(), inv_freq);
}

void RopeTable::fill(const std::int32_t* positions, std::uint32_t rows, const float* inv_freq, std::uint32_t half,
                     float factor) {
  positions_.assign(positions, positions + rows);
  inv_freq_.assign(inv_freq, inv_freq + half);
  factor_ = factor;
  half_ = half;
  values_.resize(std::size_t{2} * rows * half);
  for (std::uint32_t r = 0; r < rows; ++r)
    for (std::uint32_t i = 0; i < half; ++i) {
      // The angle is an f32 product, as in the frameworks that trained the weights; its cosine is exact to f32.
      const float angle = static_cast<float>(positions[r]) * inv_freq[i];
      float* at = values_.data() + std::size_t{2} * r * half + i;
      at[0] = static_cast<float>(std::cos(static_cast<double>(angle))) * factor;
      at[half] = static_cast<float>(std::sin(static_cast<double>(angle))) * factor;
    }
}

}  // namespace sluice::engine::cpu
