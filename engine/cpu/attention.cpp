#include "engine/cpu/attention.h"

#include <algorithm>

namespace sluice::engine::cpu {
namespace {

constexpr std::size_t kFinishesItself = ~std::size_t{0};

/// First span that any row from `pos` on may see.
std::uint32_t first_span(std::uint32_t pos, std::uint32_t window) {
  return window != 0 && pos + 1 > window ? (pos + 1 - window) / kSpan : 0;
}

}  // namespace

void Attention::add_items(const AttentionArgs& a, const AttentionSeq& seq, std::uint32_t kv_head) {
  static_assert(sizeof(BlockId) == sizeof(std::uint32_t));
  const std::size_t elem = size_of(a.kv_dtype);
  const std::uint32_t group = a.heads / a.kv_heads, heads = std::min(group, kMaxItemRows);
  const std::uint32_t tokens_max = std::max(1U, kMaxItemRows / heads);
  for (std::uint32_t h = 0; h < group; h += heads)
    for (std::uint32_t t = 0; t < seq.rows; t += tokens_max) {
      const std::size_t row = seq.first_row + t, head = std::size_t{kv_head} * group + h;
      AttentionItem it{};
      it.q = a.q + row * a.q_stride + head * a.head_dim;
      it.q_stride = a.q_stride;
      it.k = a.k + std::size_t{kv_head} * a.head_dim * elem;
      it.v = a.v + std::size_t{kv_head} * a.head_dim * elem;
      it.kv_stride = std::size_t{a.kv_heads} * a.head_dim;
      it.blocks = reinterpret_cast<const std::uint32_t*>(seq.blocks);
      it.tokens = std::min(tokens_max, seq.rows - t);
      it.heads = std::min(heads, group - h);
      it.head_dim = a.head_dim;
      it.block_size = a.block_size;
      it.window = a.window;
      it.first_pos = seq.first_pos + t;
      it.span_begin = first_span(it.first_pos, a.window);
      it.span_end = (it.first_pos + it.tokens - 1) / kSpan + 1;
      it.scale = a.scale;
      it.kv_f32 = a.kv_dtype == DType::f32;
      it.out = a.out + (row * a.heads + head) * a.head_dim;
      it.out_stride = std::size_t{a.heads} * a.head_dim;

      const std::uint32_t rows = it.tokens * it.heads, spans = it.span_end - it.span_begin;
      // One span may serve many rows or the spans may go to many threads; which, changes no result.
      if (pool_.size() == 1 || spans == 1 || rows > kMaxItemRows / 4) {
        items_.push_back(it);
        item_state_.push_back(kFinishesItself);
        continue;
      }
      merges_.push_back({state_rows_, rows, spans, rows, it.heads, it.out});
      for (std::uint32_t s = it.span_begin; s < it.span_end; ++s) {
        AttentionItem part = it;
        part.span_begin = s;
        part.span_end = s + 1;
        part.out = nullptr;
        items_.push_back(part);
        item_state_.push_back(state_rows_);
        state_rows_ += rows;
      }
    }
}

void Attention::plan(const AttentionArgs& a) {
  items_.clear();
  item_state_.clear();
  merges_.clear();
  state_rows_ = 0;
  for (const auto& seq : a.seqs)
    for (std::uint32_t h = 0; h < a.kv_heads; ++h) add_items(a, seq, h);
}

void Attention::run(const AttentionArgs& a) {
  plan(a);
  const std::size_t state_size = state_floats(a.head_dim), scratch_size = attention_scratch_floats(a.head_dim);
  // Behind the states of split rows, every worker has states of its own for the item it is at.
  const std::size_t own_states = kMaxItemRows * state_size;
  float* states = states_.reserve(state_rows_ * state_size + pool_.size() * own_states);
  float* own = states + state_rows_ * state_size;
  float* scratch = scratch_.reserve(pool_.size() * scratch_size);
  // Later rows see more keys: hand out the long items first.
  pool_.parallel_for(items_.size(), 1, [&](std::size_t begin, std::size_t end, std::uint32_t worker) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t at = items_.size() - 1 - i;
      AttentionItem& it = items_[at];
      it.state = item_state_[at] == kFinishesItself ? own + worker * own_states : states + item_state_[at] * state_size;
      kernels_.attend(it, scratch + worker * scratch_size);
    }
  });
  const auto merge = [&](std::size_t begin, std::size_t end, std::uint32_t worker) {
    for (std::size_t i = begin; i < end; ++i) {
      const Merge& m = merges_[i];
      for (std::uint32_t r = 0; r < m.rows; ++r)
        kernels_.merge(
            states + (m.state + r) * state_size, m.part_rows * state_size, m.parts, a.head_dim,
            own + worker * own_states,
            m.out + (r / m.heads) * std::size_t{a.heads} * a.head_dim + std::size_t{r % m.heads} * a.head_dim);
    }
  };
  pool_.parallel_for(merges_.size(), 4, merge);
}

}  // namespace sluice::engine::cpu
