#pragma once
// A batch as the forward pass walks it: sequences laid end to end as rows. Private to llama*.cpp.
#include <cstdint>
#include <span>
#include <vector>

#include "engine/kv_pool.h"
#include "engine/model/model.h"

namespace sluice::engine {

/// invalid_argument, naming the sequence, unless the whole batch can be computed.
[[nodiscard]] Result<> check_batch(const ModelConfig& c, std::span<const ForwardSeq> batch, const KvPoolShape& pool,
                                   std::size_t logits_size);

/// Wanted rows whose logits have one reader: wanted_rows() from `first` on.
struct HeadRows {
  std::uint32_t first = 0, count = 0;
  RowLogits* rows = nullptr;    // null: they go to the caller's buffer
  std::uint32_t first_pos = 0;  // where rows is set
};

class BatchRows {
 public:
  /// The block tables of `batch` are referred to until the next assign().
  void assign(std::span<const ForwardSeq> batch);

  [[nodiscard]] std::uint32_t count() const noexcept { return static_cast<std::uint32_t>(positions_.size()); }
  [[nodiscard]] const std::int32_t* positions() const noexcept { return positions_.data(); }  // [count]
  [[nodiscard]] std::span<const AttentionSeq> seqs() const noexcept { return seqs_; }
  /// Rows whose logits are wanted, ascending. Numbered from 0 in this order from here on.
  [[nodiscard]] std::span<const std::uint32_t> wanted() const noexcept { return wanted_; }
  /// The wanted rows as sequences.
  [[nodiscard]] std::span<const AttentionSeq> wanted_seqs() const noexcept { return wanted_seqs_; }
  /// And by who reads their logits, in batch order. A row with two readers is there twice.
  [[nodiscard]] std::span<const HeadRows> heads() const noexcept { return heads_; }

 private:
  void want(const ForwardSeq& s);

  std::vector<std::int32_t> positions_;
  std::vector<AttentionSeq> seqs_, wanted_seqs_;
  std::vector<std::uint32_t> wanted_;
  std::vector<HeadRows> heads_;
};

}  // namespace sluice::engine
