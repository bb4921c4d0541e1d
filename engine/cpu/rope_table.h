#pragma once
// Cosines and sines of the positions of one call, kept for the next: a forward pass rotates queries and keys of
// every layer by the same angles.
#include <cstdint>
#include <vector>

namespace sluice::engine::cpu {

class RopeTable {
 public:
  /// True if the table already holds exactly these angles.
  [[nodiscard]] bool holds(const std::int32_t* positions, std::uint32_t rows, const float* inv_freq, std::uint32_t half,
                           float factor) const;
  void fill(const std::int32_t* positions, std::uint32_t rows, const float* inv_freq, std::uint32_t half, float factor);
  [[nodiscard]] const float* cos(std::size_t row) const noexcept { return values_.data() + 2 * row * half_; }
  [[nodiscard]] const float* sin(std::size_t row) const noexcept { return cos(row) + half_; }

 private:
  std::vector<std::int32_t> positions_;
  std::vector<float> inv_freq_;
  float factor_ = 0.0F;
  std::uint32_t half_ = 0;
  std::vector<float> values_;  // [rows][cos half, sin half]
};

}  // namespace sluice::engine::cpu
