#pragma once
// A Llama of random weights written to a temporary directory, for benches that need a model of a given shape.
#include <cstdint>
#include <filesystem>

#include "common/result.h"

namespace sluice::bench {

struct SyntheticShape {
  std::uint32_t hidden = 1024, ffn = 2816, heads = 16, kv_heads = 4, head_dim = 64, layers = 12, vocab = 4096;

  /// Weights multiplied for every token; the head (vocab x hidden) only where logits are wanted.
  [[nodiscard]] double layer_weights() const {
    const double q = double{1} * heads * head_dim, kv = double{1} * kv_heads * head_dim;
    return (double{1} * hidden * (2 * q + 2 * kv) + 3.0 * hidden * ffn) * layers;
  }
  [[nodiscard]] double head_weights() const { return double{1} * vocab * hidden; }
};

/// Owns the directory; removes it when destroyed.
class SyntheticModel {
 public:
  /// unavailable when the directory cannot be written.
  [[nodiscard]] static Result<SyntheticModel> create(const SyntheticShape& shape);
  ~SyntheticModel();
  SyntheticModel(SyntheticModel&& o) noexcept;
  SyntheticModel& operator=(SyntheticModel&&) = delete;

  [[nodiscard]] const std::filesystem::path& dir() const noexcept { return dir_; }

 private:
  explicit SyntheticModel(std::filesystem::path dir) : dir_(std::move(dir)) {}
  std::filesystem::path dir_;
};

}  // namespace sluice::bench
