#pragma once
// Cuts an attention call into items for the kernels: by sequence, KV head and query rows; and, where there are few
// query rows (decode), also by span of keys, merged afterwards in ascending order.
#include <vector>

#include "engine/cpu/buffer.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/thread_pool.h"
#include "engine/ops.h"

namespace sluice::engine::cpu {

/// Owns the scratch; one call at a time.
class Attention {
 public:
  Attention(const Kernels& kernels, ThreadPool& pool) : kernels_(kernels), pool_(pool) {}
  void run(const AttentionArgs& a);

 private:
  /// Query rows whose spans were computed apart.
  struct Merge {
    std::size_t state;  // first state row, in rows
    std::uint32_t rows, parts;
    std::size_t part_rows;  // distance of one row's parts, in rows
    std::uint32_t heads;
    float* out;
  };
  void plan(const AttentionArgs& a);
  void plan_tokens(const AttentionArgs& a, const AttentionSeq& seq, std::uint32_t token);
  [[nodiscard]] AttentionItem item(const AttentionArgs& a, const AttentionSeq& seq, std::uint32_t head,
                                   std::uint32_t token) const;

  const Kernels& kernels_;
  ThreadPool& pool_;
  std::vector<AttentionItem> items_;
  std::vector<std::size_t> item_state_;  // state row of an item that is merged later
  std::vector<Merge> merges_;
  std::size_t state_rows_ = 0;
  Buffer<float> states_, scratch_;
};

}  // namespace sluice::engine::cpu
