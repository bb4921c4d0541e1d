#pragma once
// Which KV blocks are taken. A handle carries the generation its block had when it was given out: once the
// block is freed every old handle is stale, so a late writer or a second free is refused instead of touching
// another request's KV.
//
// A keeper may hold blocks that nobody needs at the moment, one reference each. Those that it alone holds count as
// free: it is asked for them before anybody is told that there is no room.
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

/// Whoever keeps blocks for later. It is told what becomes of them from within the allocator's calls, and calls back
/// only from give_up().
class BlockKeeper {
 public:
  virtual ~BlockKeeper() = default;
  /// Nobody else holds this block any more.
  virtual void on_idle(BlockId b) = 0;
  /// Somebody holds it again.
  virtual void on_used(BlockId b) = 0;
  /// Blocks that it could give up now.
  [[nodiscard]] virtual std::uint32_t spare() const noexcept = 0;
  /// Gives up n <= spare() of them, by BlockAllocator::let_go().
  virtual void give_up(std::uint32_t n) = 0;
};

class BlockAllocator {
 public:
  explicit BlockAllocator(std::uint32_t blocks);

  /// The one keeper, which outlives this or is taken away by nullptr.
  void attach(BlockKeeper* keeper) noexcept { keeper_ = keeper; }

  /// All `n` blocks or none. Each comes with one reference.
  [[nodiscard]] Result<std::vector<BlockHandle>> allocate(std::size_t n);

  /// One more owner, e.g. a transfer that still reads the block after its request ended.
  [[nodiscard]] Result<> retain(BlockHandle h);

  /// Gives one reference back; the last one frees the block and outdates every handle to it.
  [[nodiscard]] Result<> release(BlockHandle h);

  /// The keeper's reference, beside those of others. already_exists: it has one.
  [[nodiscard]] Result<> keep(BlockHandle h);
  /// Gives the keeper's reference back.
  [[nodiscard]] Result<> let_go(BlockHandle h);

  [[nodiscard]] bool valid(BlockHandle h) const noexcept;
  [[nodiscard]] std::uint32_t references(BlockHandle h) const noexcept;
  /// Those that the keeper would give up among them.
  [[nodiscard]] std::uint32_t free_blocks() const noexcept {
    return static_cast<std::uint32_t>(free_.size()) + (keeper_ != nullptr ? keeper_->spare() : 0);
  }
  [[nodiscard]] std::uint32_t total_blocks() const noexcept { return static_cast<std::uint32_t>(slots_.size()); }

 private:
  struct Slot {
    std::uint32_t generation = 1;  // 0 is never given out, so a default handle is never valid
    std::uint32_t references = 0;
    bool kept = false;  // one of them is the keeper's
  };

  [[nodiscard]] Result<Slot*> slot(BlockHandle h);
  /// One reference less.
  void drop(BlockHandle h);

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;  // a stack: the block freed last is the one most likely still in cache
  BlockKeeper* keeper_ = nullptr;
};

}  // namespace sluice::engine
