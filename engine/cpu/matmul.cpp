#include "engine/cpu/matmul.h"

#include <algorithm>
#include <cstring>

namespace sluice::engine::cpu {
namespace {

/// Rows of one block: their packed k block (240 KiB) stays in the second-level cache while panels pass.
constexpr std::uint32_t kBlockRows = 240;
/// Panels of one block of many rows: their f32 results stay in the second-level cache between k blocks.
constexpr std::uint32_t kBlockPanels = 8;
/// Fewer values than this are packed by the caller alone; waking workers would cost more.
constexpr std::size_t kPackAlone = 32768;

std::uint32_t div_up(std::uint32_t a, std::uint32_t b) { return (a + b - 1) / b; }

/// Exact, including denormals.
float f16_to_f32(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000U) << 16;
  const std::uint32_t exponent = (h >> 10) & 0x1fU, mantissa = h & 0x3ffU;
  if (exponent == 0x1fU) return std::bit_cast<float>(sign | 0x7f800000U | mantissa << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float f = static_cast<float>(mantissa) * 0x1p-24F;
  return sign != 0 ? -f : f;
}

float weight_f32(const WeightView& w, std::size_t i) {
  switch (w.dtype) {
    case DType::bf16:
      return bf16_to_f32(static_cast<const std::uint16_t*>(w.data)[i]);
    case DType::f16:
      return f16_to_f32(static_cast<const std::uint16_t*>(w.data)[i]);
    case DType::f32:
      return static_cast<const float*>(w.data)[i];
  }
  return 0.0F;
}

std::uint32_t weight_bf16(const WeightView& w, std::size_t i) {
  return w.dtype == DType::bf16 ? static_cast<const std::uint16_t*>(w.data)[i] : f32_to_bf16(weight_f32(w, i));
}

/// Writes one output's weights into its column of a panel: to[step * cols].
void pack_column(const WeightView& w, std::uint32_t row, std::uint32_t k_per_step, std::uint32_t cols,
                 std::uint32_t* to) {
  const std::size_t base = std::size_t{row} * w.k;
  if (k_per_step == 1) {
    for (std::uint32_t i = 0; i < w.k; ++i)
      to[std::size_t{i} * cols] = std::bit_cast<std::uint32_t>(weight_f32(w, base + i));
    return;
  }
  for (std::uint32_t i = 0; i + 1 < w.k; i += 2)
    to[std::size_t{i / 2} * cols] = weight_bf16(w, base + i) | weight_bf16(w, base + i + 1) << 16;
  if (w.k % 2 != 0) to[std::size_t{w.k / 2} * cols] = weight_bf16(w, base + w.k - 1);
}

}  // namespace

PanelMatrix::PanelMatrix(std::span<const WeightView> parts, const MatmulKernel& kernel, ThreadPool& pool)
    : cols_(kernel.cols) {
  for (const auto& p : parts) n_ += p.n;
  k_ = parts.empty() ? 0 : parts.front().k;
  steps_ = div_up(k_, kernel.k_per_step);
  panels_ = div_up(n_, cols_);
  words_ = Buffer<std::uint32_t>(std::size_t{panels_} * steps_ * cols_);
  pool.parallel_for(n_, cols_, [&](std::size_t begin, std::size_t end, std::uint32_t) {
    for (std::size_t out = begin; out < end; ++out) {
      std::size_t row = out;
      auto part = parts.begin();
      for (; row >= part->n; ++part) row -= part->n;
      std::uint32_t* column = words_.data() + out / cols_ * steps_ * cols_ + out % cols_;
      pack_column(*part, static_cast<std::uint32_t>(row), kernel.k_per_step, cols_, column);
    }
  });
}

void Matmul::pack_rows(const float* x, std::uint32_t k, std::uint32_t m) {
  const std::uint32_t blocks = div_up(k, kernel_.block_k);
  std::byte* to = left_.reserve(std::size_t{blocks} * m * kRowBytes);
  const auto pack = [&](std::size_t begin, std::size_t end, std::uint32_t) {
    for (std::size_t r = begin; r < end; ++r)
      for (std::uint32_t b = 0; b < blocks; ++b)
        kernel_.pack_row(x + r * k + std::size_t{b} * kernel_.block_k,
                         std::min(kernel_.block_k, k - b * kernel_.block_k), to + (std::size_t{b} * m + r) * kRowBytes);
  };
  if (std::size_t{m} * k <= kPackAlone)
    pack(0, m, 0);
  else
    pool_.parallel_for(m, 16, pack);
}

void Matmul::run(const float* x, const PanelMatrix& w, const float* bias, float* y, std::uint32_t m) {
  if (m == 0 || w.n() == 0) return;
  pack_rows(x, w.k(), m);
  const std::uint32_t row_blocks = div_up(m, kBlockRows);
  // Enough blocks to balance the threads, few enough panels in one to keep its results in cache.
  const std::uint32_t wanted = pool_.size() == 1 ? 1 : 6 * pool_.size();
  const std::uint32_t group = std::clamp(w.panels() * row_blocks / wanted, 1U, kBlockPanels);
  const std::uint32_t groups = div_up(w.panels(), group);
  pool_.parallel_for(std::size_t{row_blocks} * groups, 1, [&](std::size_t begin, std::size_t end, std::uint32_t) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto rb = static_cast<std::uint32_t>(i / groups), g = static_cast<std::uint32_t>(i % groups);
      multiply(w, bias, y, m,
               {rb * m / row_blocks, (rb + 1) * m / row_blocks, g * group, std::min((g + 1) * group, w.panels())});
    }
  });
}

void Matmul::multiply(const PanelMatrix& w, const float* bias, float* y, std::uint32_t m, Block b) const {
  const std::uint32_t k_blocks = div_up(w.k(), kernel_.block_k);
  if (b.row_end - b.row_begin <= kernel_.rows) {
    // Few rows: each weight is used once, so a panel is read straight through.
    for (std::uint32_t p = b.panel_begin; p < b.panel_end; ++p)
      for (std::uint32_t kb = 0; kb < k_blocks; ++kb) multiply_panel(w, y, m, {b.row_begin, b.row_end, p, p + 1}, kb);
  } else {
    for (std::uint32_t kb = 0; kb < k_blocks; ++kb)
      for (std::uint32_t p = b.panel_begin; p < b.panel_end; ++p)
        multiply_panel(w, y, m, {b.row_begin, b.row_end, p, p + 1}, kb);
  }
  if (bias == nullptr) return;
  const std::uint32_t end = std::min(b.panel_end * kernel_.cols, w.n());
  for (std::uint32_t r = b.row_begin; r < b.row_end; ++r)
    for (std::uint32_t c = b.panel_begin * kernel_.cols; c < end; ++c) y[std::size_t{r} * w.n() + c] += bias[c];
}

void Matmul::multiply_panel(const PanelMatrix& w, float* y, std::uint32_t m, Block b, std::uint32_t k_block) const {
  const std::uint32_t block_steps = kernel_.block_k / kernel_.k_per_step, first = k_block * block_steps;
  const std::uint32_t steps = std::min(block_steps, w.steps() - first);
  const std::uint32_t* right = w.panel(b.panel_begin) + std::size_t{first} * kernel_.cols;
  const std::uint32_t column = b.panel_begin * kernel_.cols, width = std::min(kernel_.cols, w.n() - column);
  const std::uint32_t rows = b.row_end - b.row_begin, tiles = div_up(rows, kernel_.rows);
  for (std::uint32_t t = 0; t < tiles; ++t) {
    const std::uint32_t r0 = b.row_begin + rows * t / tiles, count = b.row_begin + rows * (t + 1) / tiles - r0;
    const std::byte* left = left_.data() + (std::size_t{k_block} * m + r0) * kRowBytes;
    float* to = y + std::size_t{r0} * w.n() + column;
    if (width == kernel_.cols) {
      kernel_.tile[count](left, right, steps, to, w.n(), k_block != 0);
      continue;
    }
    // The last panel is wider than what is left of y: go through a tile of our own.
    float tile[kMaxTileRows * 64];
    for (std::uint32_t r = 0; r < count; ++r)
      std::memcpy(tile + std::size_t{r} * kernel_.cols, to + std::size_t{r} * w.n(), width * sizeof(float));
    kernel_.tile[count](left, right, steps, tile, kernel_.cols, k_block != 0);
    for (std::uint32_t r = 0; r < count; ++r)
      std::memcpy(to + std::size_t{r} * w.n(), tile + std::size_t{r} * kernel_.cols, width * sizeof(float));
  }
}

}  // namespace sluice::engine::cpu
