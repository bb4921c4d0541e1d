#pragma once
// Paged KV memory of one daemon: plain bytes, addressed by (layer, K or V, block).
//
// Who may write a block is decided by its owner in engine/policy (BlockAllocator, Scheduler); the pool itself
// is storage only. Threading: distinct blocks may be written and read concurrently; the same block may not.
#include <cstdint>
#include <memory>
#include <span>

#include "common/ids.h"
#include "common/result.h"
#include "engine/dtype.h"

namespace sluice::engine {

struct KvPoolShape {
  std::uint32_t layers = 0, kv_heads = 0, head_dim = 0;
  std::uint32_t block_size = 16;  // tokens per block
  std::uint32_t num_blocks = 0;
  DType dtype = DType::bf16;  // bf16 or f32

  [[nodiscard]] std::size_t row_bytes() const noexcept { return std::size_t{kv_heads} * head_dim * size_of(dtype); }
  [[nodiscard]] std::size_t block_bytes() const noexcept { return row_bytes() * block_size; }
};

class KvPool {
 public:
  /// Maps zeroed memory for the whole pool; resource_exhausted if the system refuses.
  [[nodiscard]] static Result<std::unique_ptr<KvPool>> create(const KvPoolShape& shape);
  ~KvPool();
  KvPool(const KvPool&) = delete;
  KvPool& operator=(const KvPool&) = delete;

  [[nodiscard]] const KvPoolShape& shape() const noexcept { return shape_; }
  /// Base of one layer's keys or values: [num_blocks, block_size, kv_heads, head_dim].
  [[nodiscard]] std::byte* keys(std::uint32_t layer) noexcept { return base_ + (2 * std::size_t{layer}) * plane_; }
  [[nodiscard]] std::byte* values(std::uint32_t layer) noexcept {
    return base_ + (2 * std::size_t{layer} + 1) * plane_;
  }
  /// One block's rows: block_bytes() long.
  [[nodiscard]] std::byte* block(std::uint32_t layer, bool value, BlockId b) noexcept {
    return (value ? values(layer) : keys(layer)) + b.value() * shape_.block_bytes();
  }

 private:
  KvPool(const KvPoolShape& s, std::byte* base, std::size_t bytes);
  KvPoolShape shape_;
  std::byte* base_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t plane_ = 0;  // bytes of one layer's K (or V)
};

}  // namespace sluice::engine
