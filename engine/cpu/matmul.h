#pragma once
// Matrix products over packed panels: packing at load, and the blocking around the kernels' tiles.
#include <cstdint>
#include <span>

#include "engine/cpu/buffer.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/thread_pool.h"
#include "engine/ops.h"

namespace sluice::engine::cpu {

/// Weights [n, k] as panels of the kernel's width: [panels][steps][cols] words of 4 bytes, zero-padded in n and k.
class PanelMatrix final : public PackedMatrix {
 public:
  PanelMatrix(std::span<const WeightView> parts, const MatmulKernel& kernel, ThreadPool& pool);

  [[nodiscard]] std::uint32_t n() const noexcept override { return n_; }
  [[nodiscard]] std::uint32_t k() const noexcept override { return k_; }
  [[nodiscard]] std::size_t bytes() const noexcept override { return words_.size() * sizeof(std::uint32_t); }
  [[nodiscard]] std::uint32_t panels() const noexcept { return panels_; }
  [[nodiscard]] std::uint32_t steps() const noexcept { return steps_; }
  [[nodiscard]] const std::uint32_t* panel(std::uint32_t p) const noexcept {
    return words_.data() + std::size_t{p} * steps_ * cols_;
  }

 private:
  std::uint32_t n_ = 0, k_ = 0, steps_ = 0, cols_ = 0, panels_ = 0;
  Buffer<std::uint32_t> words_;
};

/// y[m, n] = x[m, k] * w^T + bias. Owns the packed copy of x; one call at a time.
class Matmul {
 public:
  Matmul(const MatmulKernel& kernel, ThreadPool& pool) : kernel_(kernel), pool_(pool) {}
  void run(const float* x, const PanelMatrix& w, const float* bias, float* y, std::uint32_t m);

 private:
  struct Block {
    std::uint32_t row_begin, row_end, panel_begin, panel_end;
  };
  /// One k block of one panel.
  struct Piece {
    std::uint32_t panel, k_block;
  };
  void pack_rows(const float* x, std::uint32_t k, std::uint32_t m);
  void multiply(const PanelMatrix& w, const float* bias, float* y, std::uint32_t m, Block b) const;
  void multiply_piece(const PanelMatrix& w, float* y, std::uint32_t m, Block b, Piece at, Piece next) const;

  const MatmulKernel& kernel_;
  ThreadPool& pool_;
  Buffer<std::byte> left_;  // [k blocks][m][kRowBytes]
};

}  // namespace sluice::engine::cpu
