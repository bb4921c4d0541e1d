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

class BatchRows {
 public:
  /// The block tables of `batch` are referred to until the next assign().
  void assign(std::span<const ForwardSeq> batch);

  [[nodiscard]] std::uint32_t count() const noexcept { return static_cast<std::uint32_t>(positions_.size()); }
  [[nodiscard]] const std::int32_t* positions() const noexcept { return positions_.data(); }  // [count]
  [[nodiscard]] std::span<const AttentionSeq> seqs() const noexcept { return seqs_; }
  /// Rows whose logits are wanted, ascending.
  [[nodiscard]] std::span<const std::uint32_t> wanted() const noexcept { return wanted_; }
  /// The wanted rows as sequences of one row each, numbered from 0.
  [[nodiscard]] std::span<const AttentionSeq> wanted_seqs() const noexcept { return wanted_seqs_; }

 private:
  std::vector<std::int32_t> positions_;
  std::vector<AttentionSeq> seqs_, wanted_seqs_;
  std::vector<std::uint32_t> wanted_;
};

}  // namespace sluice::engine
