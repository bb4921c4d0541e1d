#pragma once
// One sequence's queries, keys and values over a paged pool, and its attention in double precision.
#include <span>

#include "tests/engine_cpu/support.h"

namespace sluice::engine::test {

struct HeadShape {
  std::uint32_t heads, kv_heads, head_dim, block_size, window;
};

/// Positions [0, length) in shuffled blocks; slots nobody wrote hold NaN, so that reading one shows.
class PagedSequence {
 public:
  PagedSequence(const HeadShape& s, DType dtype, std::uint32_t length, std::uint32_t seed)
      : shape_(s), dtype_(dtype), length_(length) {
    const std::uint32_t width = s.kv_heads * s.head_dim, used = (length + s.block_size - 1) / s.block_size;
    q = random_values(length * row_width(), seed, 2.0F);
    k_ = random_values(std::size_t{length} * width, seed + 1);
    v_ = random_values(std::size_t{length} * width, seed + 2);
    std::vector<std::uint32_t> order(used + 3);
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), std::mt19937(seed));
    for (std::uint32_t i = 0; i < used; ++i) blocks.emplace_back(order[i]);
    k_pool_.assign(order.size() * s.block_size * width * size_of(dtype), std::byte{0xff});
    v_pool_ = k_pool_;
  }

  void write(Ops& ops) {
    const std::uint32_t width = shape_.kv_heads * shape_.head_dim;
    const AttentionSeq seq{0, length_, 0, blocks.data()};
    ops.kv_write(
        {k_.data(), v_.data(), width, k_pool_.data(), v_pool_.data(), dtype_, width, shape_.block_size, {&seq, 1}});
  }

  [[nodiscard]] std::size_t row_width() const { return std::size_t{shape_.heads} * shape_.head_dim; }

  /// Queries: rows of `queries` as `seqs` say.
  [[nodiscard]] AttentionArgs args(const float* queries, std::span<const AttentionSeq> seqs, float* out) const {
    AttentionArgs a;
    a.q = queries;
    a.q_stride = static_cast<std::uint32_t>(row_width());
    a.k = k_pool_.data();
    a.v = v_pool_.data();
    a.kv_dtype = dtype_;
    a.heads = shape_.heads;
    a.kv_heads = shape_.kv_heads;
    a.head_dim = shape_.head_dim;
    a.block_size = shape_.block_size;
    a.window = shape_.window;
    a.scale = 1.0F / std::sqrt(static_cast<float>(shape_.head_dim));
    a.seqs = seqs;
    a.out = out;
    return a;
  }

  /// Attention of positions [first, first + rows).
  [[nodiscard]] std::vector<float> attend(Ops& ops, std::uint32_t first, std::uint32_t rows) const {
    const AttentionSeq seq{0, rows, first, blocks.data()};
    std::vector<float> out(rows * row_width(), -1.0F);
    ops.attention(args(q.data() + first * row_width(), {&seq, 1}, out.data()));
    return out;
  }

  /// One head's output at one position, in double.
  [[nodiscard]] std::vector<double> reference(std::uint32_t pos, std::uint32_t head) const {
    const std::uint32_t dim = shape_.head_dim;
    const std::uint32_t first = shape_.window != 0 && pos + 1 > shape_.window ? pos + 1 - shape_.window : 0;
    const float* query = q.data() + pos * row_width() + std::size_t{head} * dim;
    std::vector<double> scores;
    double top = -1e300, sum = 0;
    for (std::uint32_t p = first; p <= pos; ++p) {
      double s = 0;
      for (std::uint32_t d = 0; d < dim; ++d) s += double{query[d]} * stored(k_, p, head, d);
      scores.push_back(s / std::sqrt(static_cast<double>(dim)));
      top = std::max(top, scores.back());
    }
    std::vector<double> out(dim, 0.0);
    for (std::uint32_t p = first; p <= pos; ++p) {
      const double w = std::exp(scores[p - first] - top);
      sum += w;
      for (std::uint32_t d = 0; d < dim; ++d) out[d] += w * stored(v_, p, head, d);
    }
    for (double& o : out) o /= sum;
    return out;
  }

  std::vector<float> q;  // [length, heads, head_dim]
  std::vector<BlockId> blocks;

 private:
  [[nodiscard]] double stored(const std::vector<float>& m, std::uint32_t pos, std::uint32_t head,
                              std::uint32_t d) const {
    const std::uint32_t kv_head = head / (shape_.heads / shape_.kv_heads);
    const float f = m[(std::size_t{pos} * shape_.kv_heads + kv_head) * shape_.head_dim + d];
    return dtype_ == DType::bf16 ? as_bf16(f) : f;
  }

  HeadShape shape_;
  DType dtype_;
  std::uint32_t length_;
  std::vector<float> k_, v_;  // [length, kv_heads, head_dim]
  std::vector<std::byte> k_pool_, v_pool_;
};

}  // namespace sluice::engine::test
