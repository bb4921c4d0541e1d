#include "engine/cpu/attention.h"

#include <algorithm>

namespace sluice::engine::cpu {
namespace {

constexpr std::size_t kFinishesItself = ~std::size_t{0};
/// Items of at most this many query rows are cut by span as well, whatever the number of threads.
constexpr std::uint32_t kSplitRows = kMaxItemRows / 4;

std::uint32_t tokens_per_item(std::uint32_t group) { return std::max(1U, kMaxItemRows / group); }

/// First span that any row from `pos` on may see.
std::uint32_t first_span(std::uint32_t pos, std::uint32_t window) {
  return window != 0 && pos + 1 > window ? (pos + 1 - window) / kSpan : 0;
}

}  // namespace

AttentionItem Attention::item(const AttentionArgs& a, const AttentionSeq& seq, std::uint32_t head,
                              std::uint32_t token) const {
  static_assert(sizeof(BlockId) == sizeof(std::uint32_t));
  const std::uint32_t group = a.heads / a.kv_heads, kv_head = head / group;
  const std::size_t row = seq.first_row + token, kv_bytes = std::size_t{kv_head} * a.head_dim * size_of(a.kv_dtype);
  AttentionItem it{};
  it.q = a.q + row * a.q_stride + std::size_t{head} * a.head_dim;
  it.q_stride = a.q_stride;
  it.k = a.k + kv_bytes;
  it.v = a.v + kv_bytes;
  it.kv_stride = std::size_t{a.kv_heads} * a.head_dim;
  it.blocks = reinterpret_cast<const std::uint32_t*>(seq.blocks);
  it.heads = std::min(kMaxItemRows, group - head % group);
  it.tokens = std::min(tokens_per_item(group), seq.rows - token);
  it.head_dim = a.head_dim;
  it.block_size = a.block_size;
  it.window = a.window;
  it.first_pos = seq.first_pos + token;
  it.span_begin = first_span(it.first_pos, a.window);
  it.span_end = (it.first_pos + it.tokens - 1) / kSpan + 1;
  it.scale = a.scale;
  it.kv_f32 = a.kv_dtype == DType::f32;
  it.out = a.out + (row * a.heads + head) * a.head_dim;
  it.out_stride = std::size_t{a.heads} * a.head_dim;
  return it;
}

void Attention::plan_tokens(const AttentionArgs& a, const AttentionSeq& seq, std::uint32_t token) {
  const std::size_t first = items_.size();
  const std::uint32_t group = a.heads / a.kv_heads;
  for (std::uint32_t head = 0; head < a.heads; head += items_.back().heads) {
    items_.push_back(item(a, seq, head, token));
    item_state_.push_back(kFinishesItself);
  }
  const std::uint32_t spans = items_[first].span_end - items_[first].span_begin;
  const std::uint32_t rows = items_[first].tokens * std::min(group, kMaxItemRows);
  if (spans == 1 || rows > kSplitRows) return;

  // Few rows over many keys: each span apart. Heads of a span follow each other, as their rows lie in memory.
  const std::vector<AttentionItem> whole(items_.begin() + static_cast<std::ptrdiff_t>(first), items_.end());
  items_.resize(first);
  item_state_.resize(first);
  std::size_t state = state_rows_;
  for (const auto& it : whole) {
    merges_.push_back({state, it.tokens * it.heads, spans, std::size_t{a.heads} * it.tokens, it.heads, it.out});
    state += it.tokens * it.heads;
  }
  for (std::uint32_t s = whole.front().span_begin; s < whole.front().span_end; ++s)
    for (AttentionItem it : whole) {
      it.span_begin = s;
      it.span_end = s + 1;
      it.out = nullptr;
      items_.push_back(it);
      item_state_.push_back(state_rows_);
      state_rows_ += it.tokens * it.heads;
    }
}

void Attention::plan(const AttentionArgs& a) {
  items_.clear();
  item_state_.clear();
  merges_.clear();
  state_rows_ = 0;
  for (const auto& seq : a.seqs)
    for (std::uint32_t t = 0; t < seq.rows; t += tokens_per_item(a.heads / a.kv_heads)) plan_tokens(a, seq, t);
}

void Attention::run(const AttentionArgs& a) {
  plan(a);
  const std::size_t state_size = state_floats(a.head_dim), scratch_size = attention_scratch_floats(a.head_dim);
  // Behind the states of split rows, every worker has states of its own for the item it is at.
  const std::size_t own_states = kMaxItemRows * state_size;
  float* states = states_.reserve(state_rows_ * state_size + pool_.size() * own_states);
  float* own = states + state_rows_ * state_size;
  float* scratch = scratch_.reserve(pool_.size() * scratch_size);
  // Later rows see more keys: hand out the long items first. Neighbours share memory pages: hand out several at once.
  const std::size_t grain = std::clamp<std::size_t>(items_.size() / (std::size_t{8} * pool_.size()), 1, a.kv_heads);
  pool_.parallel_for(items_.size(), grain, [&](std::size_t begin, std::size_t end, std::uint32_t worker) {
    for (std::size_t at = items_.size() - end; at < items_.size() - begin; ++at) {
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
