#pragma once
// oneDNN's matrix product as the reference for ours: the speed of a large one is what we call this machine's peak.
#include <cstdint>
#include <memory>
#include <string>

#include "engine/ops.h"

namespace sluice::bench {

class ReferenceGemm {
 public:
  struct Shape {
    std::uint32_t m, n, k;
    std::uint32_t copies = 1;  // products of different weights in one run(), so that they outgrow the caches
  };
  /// y[m, n] = x[m, k] * w[k, n], weights in oneDNN's own layout. Falls back to f32 where there is no bf16 product.
  ReferenceGemm(engine::Precision precision, const Shape& shape, std::uint32_t threads);
  ~ReferenceGemm();
  ReferenceGemm(const ReferenceGemm&) = delete;
  ReferenceGemm& operator=(const ReferenceGemm&) = delete;

  /// All copies once; waits until OpenMP's threads are quiet again, so that they disturb nobody measured next.
  /// Returns the products' own seconds.
  double run();
  [[nodiscard]] double flops() const noexcept;
  /// "oneDNN bf16 GEMM, 2 threads"
  [[nodiscard]] std::string name() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::bench
