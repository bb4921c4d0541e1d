#include "engine/model/llama_batch.h"

#include <algorithm>

namespace sluice::engine {
namespace {

constexpr std::size_t kMaxRows = 1U << 24;

Result<> check_seq(const ModelConfig& c, const ForwardSeq& s, std::size_t index, const KvPoolShape& pool) {
  const std::uint64_t end = std::uint64_t{s.first_pos} + s.tokens.size();
  if (s.tokens.empty()) return fail(Errc::invalid_argument, "sequence {} has no tokens", index);
  if (end > c.max_position)
    return fail(Errc::invalid_argument, "sequence {} reaches position {} of a model with {}", index, end,
                c.max_position);
  const std::uint64_t blocks = (end + pool.block_size - 1) / pool.block_size;
  if (s.blocks.size() < blocks)
    return fail(Errc::invalid_argument, "sequence {} needs {} KV blocks and has {}", index, blocks, s.blocks.size());
  for (const BlockId b : s.blocks.first(blocks))
    if (b.value() >= pool.num_blocks)
      return fail(Errc::invalid_argument, "sequence {} names KV block {} of {}", index, b, pool.num_blocks);
  for (const TokenId t : s.tokens)
    if (t < 0 || static_cast<std::uint32_t>(t) >= c.vocab_size)
      return fail(Errc::invalid_argument, "sequence {} holds token {} of a vocabulary of {}", index, t, c.vocab_size);
  return {};
}

}  // namespace

Result<> check_batch(const ModelConfig& c, std::span<const ForwardSeq> batch, const KvPoolShape& pool,
                     std::size_t logits_size) {
  if (pool.layers != c.layers || pool.kv_heads != c.kv_heads || pool.head_dim != c.head_dim)
    return fail(Errc::invalid_argument, "the KV pool was made for another model");
  std::size_t rows = 0, wanted = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    SLUICE_TRY(check_seq(c, batch[i], i, pool));
    rows += batch[i].tokens.size();
    wanted += batch[i].wants_logits ? 1 : 0;
  }
  if (rows > kMaxRows) return fail(Errc::invalid_argument, "a batch of {} tokens is too large", rows);
  if (logits_size < wanted * c.vocab_size)
    return fail(Errc::invalid_argument, "room for {} logits where {} are wanted", logits_size, wanted * c.vocab_size);
  return {};
}

void BatchRows::assign(std::span<const ForwardSeq> batch) {
  positions_.clear();
  seqs_.clear();
  wanted_.clear();
  wanted_seqs_.clear();
  heads_.clear();
  for (const ForwardSeq& s : batch) {
    const auto rows = static_cast<std::uint32_t>(s.tokens.size());
    seqs_.push_back({count(), rows, s.first_pos, s.blocks.data()});
    for (std::uint32_t i = 0; i < rows; ++i) positions_.push_back(static_cast<std::int32_t>(s.first_pos + i));
    if (s.wants_logits || s.rows != nullptr) want(s);
  }
}

/// The sequence's rows are the last ones so far.
void BatchRows::want(const ForwardSeq& s) {
  const auto rows = static_cast<std::uint32_t>(s.tokens.size());
  const std::uint32_t kept = s.rows != nullptr ? rows : 1;
  const auto first = static_cast<std::uint32_t>(wanted_.size());
  const std::uint32_t first_pos = s.first_pos + rows - kept;
  wanted_seqs_.push_back({first, kept, first_pos, s.blocks.data()});
  for (std::uint32_t i = count() - kept; i < count(); ++i) wanted_.push_back(i);
  if (s.rows != nullptr) heads_.push_back({first, kept, s.rows, first_pos});
  if (!s.wants_logits) return;
  const std::uint32_t last = first + kept - 1;
  const bool joins =
      !heads_.empty() && heads_.back().rows == nullptr && heads_.back().first + heads_.back().count == last;
  if (joins)
    ++heads_.back().count;
  else
    heads_.push_back({last, 1, nullptr, 0});
}

}  // namespace sluice::engine
