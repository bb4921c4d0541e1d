#pragma once
// Which KV blocks are taken. A handle carries the generation its block had when it was given out: once the
// block is freed every old handle is stale, so a late writer or a second free is refused instead of touching
// another request's KV.
//
// Threading: none; the owner serialises calls.
// Failure: resource_exhausted (no room), stale (freed before, or freed twice), invalid_argument (no such block).
#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace sluice::engine {

struct BlockHandle {
  BlockId id;
  std::uint32_t generation = 0;
  friend auto operator<=>(const BlockHandle&, const BlockHandle&) = default;
};

class BlockAllocator {
 public:
  explicit BlockAllocator(std::uint32_t blocks);

  /// All `n` blocks or none. Each comes with one reference.
  [[nodiscard]] Result<std::vector<BlockHandle>> allocate(std::size_t n);

  /// One more owner, e.g. a transfer that still reads the block after its request ended.
  [[nodiscard]] Result<> retain(BlockHandle h);

  /// Gives one reference back; the last one frees the block and outdates every handle to it.
  [[nodiscard]] Result<> release(BlockHandle h);

  [[nodiscard]] bool valid(BlockHandle h) const noexcept;
  [[nodiscard]] std::uint32_t references(BlockHandle h) const noexcept;
  [[nodiscard]] std::uint32_t free_blocks() const noexcept { return static_cast<std::uint32_t>(free_.size()); }
  [[nodiscard]] std::uint32_t total_blocks() const noexcept { return static_cast<std::uint32_t>(slots_.size()); }

 private:
  struct Slot {
    std::uint32_t generation = 1;  // 0 is never given out, so a default handle is never valid
    std::uint32_t references = 0;
  };

  [[nodiscard]] Result<Slot*> slot(BlockHandle h);

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;  // a stack: the block freed last is the one most likely still in cache
};

}  // namespace sluice::engine
