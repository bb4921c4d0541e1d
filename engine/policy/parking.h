#pragma once
// Who has blocks, where sequences take them as their tokens come (docs/adr/0010). Of the scheduler; pure.
//
// Who needs blocks for its next rows gets them by urgency. Where none are free, the least urgent sequence that runs,
// grows, is not pinned, has no pass in flight and is less urgent than the needy one is parked. Who finds nobody to park
// keeps what it has, and waits. A parked sequence returns, the most urgent one first, when there is room for what it
// had and some more, the more the oftener it was parked.
//
// No deadlock: the most urgent that runs can park all others but those that never need more (below), are pinned, or
// wait for KV, which come to an end by themselves. No thrashing: who was parked kMostPreemptions times gets blocks for
// max_total when it returns, and is not parked again.
#include <cstdint>
#include <map>
#include <vector>

#include "engine/policy/sequence.h"

namespace sluice::engine {

/// A sequence was parked. Its blocks belong to whoever takes this: who copies what they hold, or does not, and then
/// says Scheduler::evicted().
struct Eviction {
  RequestId id;
  std::vector<BlockHandle> blocks;
  std::uint32_t computed = 0;  // positions whose KV they hold
  std::uint64_t number = 0;    // of all evictions
};

/// A parked sequence has blocks again (Scheduler::view). Its KV is copied in, then mark_ready(); or recompute().
struct Return {
  RequestId id;
  std::uint32_t computed = 0;  // positions whose KV is to be copied in
};

class Parking {
 public:
  static constexpr std::uint32_t kMostPreemptions = 8;
  using Sequences = std::map<RequestId, ScheduledSequence>;

  Parking(BlockAllocator& pool, std::uint32_t block_tokens) : pool_(pool), block_tokens_(block_tokens) {}

  [[nodiscard]] std::uint32_t blocks_for(std::uint32_t positions) const noexcept {
    return positions / block_tokens_ + (positions % block_tokens_ != 0 ? 1 : 0);
  }
  /// Blocks that it lacks for so many positions.
  [[nodiscard]] std::uint32_t lacking(const ScheduledSequence& s, std::uint32_t positions) const noexcept;
  /// All that it lacks for so many positions; or nothing, and resource_exhausted.
  [[nodiscard]] Result<> grow(ScheduledSequence& s, std::uint32_t positions);

  /// Gives blocks to those whose next rows need them, and marks who gets none now (starved). Returns who was parked.
  [[nodiscard]] std::vector<Eviction> make_room(Sequences& all);
  /// Who returns now. After make_room().
  [[nodiscard]] std::vector<Return> bring_back(Sequences& all);
  /// Its blocks are copied out: others may have them.
  [[nodiscard]] Result<> evicted(const Eviction& e);
  /// Whether someone at least as urgent waits for blocks. No newcomer goes before it.
  [[nodiscard]] static bool goes_before(const Sequences& all, const SequenceSpec& newcomer);

  [[nodiscard]] std::uint64_t preemptions() const noexcept { return preemptions_; }

 private:
  [[nodiscard]] static bool may_be_parked(const ScheduledSequence& s);
  [[nodiscard]] Eviction park(ScheduledSequence& s);

  BlockAllocator& pool_;
  std::uint32_t block_tokens_;
  std::uint32_t leaving_ = 0;  // blocks that are being copied out
  std::uint32_t owed_ = 0;     // free ones that make_room() left to those who wait for more
  std::uint64_t preemptions_ = 0;
};

}  // namespace sluice::engine
