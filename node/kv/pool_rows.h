#pragma once
// Rows of a segment where they lie in a pool's blocks: the codec reads from and writes to the engine's memory without a
// copy. Byte is std::byte or const std::byte. Threading: one thread at a time; a view is valid until the next call.
#include <span>
#include <vector>

#include "engine/kv_pool.h"
#include "engine/policy/block_allocator.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::node {

template <class Byte>
class PoolRows {
 public:
  /// Block i of `blocks` holds positions [i * block_size, (i + 1) * block_size).
  PoolRows(engine::KvPool& pool, std::span<const engine::BlockHandle> blocks) : pool_(pool), blocks_(blocks) {}

  [[nodiscard]] kv::PagedRows<Byte> of(const kv::SegmentShape& s) {
    const std::uint32_t per_block = pool_.shape().block_size;
    const std::uint32_t last = (s.first_token + s.tokens - 1) / per_block;
    pages_.clear();
    for (std::uint32_t b = s.first_token / per_block; b <= last; ++b)
      pages_.push_back(pool_.block(s.layer, s.kind == kv::KvKind::value, blocks_[b].id));
    return {pages_, per_block, s.first_token % per_block, s.row_bytes()};
  }

 private:
  engine::KvPool& pool_;
  std::span<const engine::BlockHandle> blocks_;
  std::vector<Byte*> pages_;
};

}  // namespace sluice::node
