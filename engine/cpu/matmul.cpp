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
  const std::uint32_t k_blocks = div_up(w.k(), kernel_.block_k), panels = b.panel_end - b.panel_begin;
  // Few rows: each weight is used once or twice, so a panel is read straight through. Many: a block of k at a time,
  // so that the rows' packed block stays close.
  const bool through = b.row_end - b.row_begin <= 2 * kernel_.rows;
  const auto piece = [&](std::uint32_t i) {
    return through ? Piece{b.panel_begin + i / k_blocks, i % k_blocks} : Piece{b.panel_begin + i % panels, i / panels};
  };
  for (std::uint32_t i = 0; i < panels * k_blocks; ++i)
    multiply_piece(w, y, m, b, piece(i), piece(std::min(i + 1, panels * k_blocks - 1)));
  if (bias == nullptr) return;
  const std::uint32_t end = std::min(b.panel_end * kernel_.cols, w.n());
  for (std::uint32_t r = b.row_begin; r < b.row_end; ++r)
    for (std::uint32_t c = b.panel_begin * kernel_.cols; c < end; ++c) y[std::size_t{r} * w.n() + c] += bias[c];
}

void Matmul::multiply_piece(const PanelMatrix& w, float* y, std::uint32_t m, Block b, Piece at, Piece next) const {
  const std::uint32_t block_steps = kernel_.block_k / kernel_.k_per_step;
  const auto weights = [&](Piece p) { return w.panel(p.panel) + std::size_t{p.k_block} * block_steps * kernel_.cols; };
  const std::uint32_t column = at.panel * kernel_.cols, width = std::min(kernel_.cols, w.n() - column);
  const std::uint32_t rows = b.row_end - b.row_begin, tiles = div_up(rows, kernel_.rows);
  const std::size_t ahead_stride = kernel_.cols * sizeof(float) / tiles;
  TileArgs t{};
  t.b = weights(at);
  t.steps = std::min(block_steps, w.steps() - at.k_block * block_steps);
  t.accumulate = at.k_block != 0;
  t.ahead_stride = ahead_stride;
  for (std::uint32_t i = 0; i < tiles; ++i) {
    const std::uint32_t r0 = b.row_begin + rows * i / tiles, count = b.row_begin + rows * (i + 1) / tiles - r0;
    t.a = left_.data() + (std::size_t{at.k_block} * m + r0) * kRowBytes;
    // Each tile fetches its share of the next piece.
    t.ahead = reinterpret_cast<const char*>(weights(next)) + i * ahead_stride * t.steps;
    float* to = y + std::size_t{r0} * w.n() + column;
    if (width == kernel_.cols) {
      t.c = to;
      t.ldc = w.n();
      kernel_.tile[count](t);
      continue;
    }
    // The last panel is wider than what is left of y: go through a tile of our own.
    float own[kMaxTileRows * kMaxTileCols];
    for (std::uint32_t r = 0; r < count; ++r)
      std::memcpy(own + std::size_t{r} * kernel_.cols, to + std::size_t{r} * w.n(), width * sizeof(float));
    t.c = own;
    t.ldc = kernel_.cols;
    kernel_.tile[count](t);
    for (std::uint32_t r = 0; r < count; ++r)
      std::memcpy(to + std::size_t{r} * w.n(), own + std::size_t{r} * kernel_.cols, width * sizeof(float));
  }
}

}  // namespace sluice::engine::cpu
