#pragma once
// Continuous batching with chunked prefill: which rows go into the next forward pass. Both daemons and the
// simulator run this code. Events in (admit, ready, commit, append, finish), work out (plan).
//
// A sequence has `tokens` and `computed`: the KV of positions [0, computed) is in the pool. What is pending is
// the rest, and every role is the same sequence with other numbers:
//   prefill node  computed 0, fill_to = positions to ship: computes up to there, never samples
//   decode node   not ready until its KV arrived; then computed = n - 1, one row per step
//   replay        as decode, with the tokens already sent to the user appended: several rows pending at once
//   colocated     computed 0, no fill_to: chunks first, then one row per step
//
// Blocks: a sequence that grows has some for the tokens it came with and takes more before its next rows need them;
// where there are none, the least urgent one is parked (parking.h). Others reserve all of max_total at admit. Blocks
// are freed once: at finish(), or, while a forward pass still writes into them, when that pass is committed. Those of
// an eviction are its taker's until evicted().
//
// Which rows go first: row_planner.h.
//
// Threading: none; the owner serialises calls. Time enters only as SequenceSpec::arrival.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "engine/policy/parking.h"
#include "engine/policy/row_planner.h"
#include "engine/policy/sequence.h"

namespace sluice::engine {

/// What is to be done now. Evictions and returns are made, whatever becomes of the work.
struct Plan {
  std::vector<Work> work;
  std::vector<Eviction> evictions;
  std::vector<Return> returns;
};

struct SchedulerCounters {
  std::uint32_t free_blocks = 0;
  std::uint32_t total_blocks = 0;
  std::uint32_t awaiting_kv = 0;    // admitted, KV not here yet; or held
  std::uint32_t waiting = 0;        // ready, never in a plan
  std::uint32_t running = 0;        // was in a plan, has more to do
  std::uint32_t filled = 0;         // reached fill_to, holds its blocks until finish()
  std::uint32_t ending = 0;         // finished or cancelled, a forward pass still writes into its blocks
  std::uint32_t starved = 0;        // of those that run: have no block for their next row
  std::uint32_t parked = 0;         // without their KV in the pool
  std::uint32_t parked_blocks = 0;  // that these need
  std::uint64_t preemptions = 0;    // since the beginning
};

class Scheduler {
 public:
  static constexpr std::uint64_t kOverduePlans = RowPlanner::kOverduePlans;
  static constexpr std::uint32_t kMostPreemptions = Parking::kMostPreemptions;

  /// `pool` is shared with whoever fills or ships blocks, and must outlive this. `block_tokens` > 0.
  Scheduler(BlockAllocator& pool, std::uint32_t block_tokens);

  /// Takes blocks, beside those that it shares: for its tokens if it grows, else for max_total. resource_exhausted:
  /// retry later, there is no room or someone at least as urgent waits for it; already_exists: the id is in use;
  /// invalid_argument: the numbers contradict each other, or max_total exceeds the whole pool.
  [[nodiscard]] Result<> admit(SequenceSpec spec);

  /// The KV this sequence waited for is in its blocks: what was on its way, or what was parked. A second call changes
  /// nothing. stale: it is parked.
  [[nodiscard]] Result<> mark_ready(RequestId id);

  /// From now on nothing of it runs, until mark_ready() is called again. It keeps its blocks; a pass in flight is
  /// settled as ever. stale: it is parked.
  [[nodiscard]] Result<> hold(RequestId id);

  /// It has blocks again, but nobody has its KV: that is computed once more, from its first position. stale: it does
  /// not return from being parked.
  [[nodiscard]] Result<> recompute(RequestId id);
  /// Its blocks are no longer read, and free for others. The sequence may have ended meanwhile.
  [[nodiscard]] Result<> evicted(const Eviction& e);
  /// From now on it is not parked; until unpin(). stale: it is parked already.
  [[nodiscard]] Result<> pin(RequestId id);
  void unpin(RequestId id);
  /// Takes blocks for so many positions now, for whoever needs to know them ahead of its tokens. resource_exhausted:
  /// there are not as many free; invalid_argument: beyond max_total. stale: it is parked.
  [[nodiscard]] Result<> reserve(RequestId id, std::uint32_t positions);

  /// Tokens `first` and following of a sequence that is not ready: those in its spec stood for ones that nobody knew
  /// yet. stale: it runs already; invalid_argument: it has no such positions.
  [[nodiscard]] Result<> supply(RequestId id, std::uint32_t first, std::span<const TokenId> tokens);

  /// The next forward pass. A sequence with a pass in flight is left out, so several plans may be under way. Without
  /// work, but with someone starved, another plan is due after evicted(), or when someone ends.
  [[nodiscard]] Plan plan(const PlanLimits& limits);

  /// The pass ran: its positions count as computed. Frees the blocks of a sequence that ended meanwhile.
  [[nodiscard]] Result<> commit(const Work& work);

  /// A decode row's pass and the `steps` - 1 after it ran, each on the token sampled before: what commit and append in
  /// turn would have left, the last append aside. For whoever knows that those plans would have been the same (the
  /// simulator). resource_exhausted beyond max_total or the pool; invalid_argument: no decode row, or no step.
  [[nodiscard]] Result<> commit_run(const Work& work, std::uint32_t steps, TokenId token);
  /// Of such a run how many steps, at most `most`, all of these sequences can make before one of them lacks a block
  /// that is not free: plans differ from there on. At least 1.
  [[nodiscard]] std::uint32_t steps_ahead(std::span<const Work> running, std::uint32_t most) const;

  /// The pass failed or never ran: its rows are planned again.
  [[nodiscard]] Result<> abandon(const Work& work);

  /// Adds a sampled or forced token. resource_exhausted once max_total is reached.
  [[nodiscard]] Result<> append(RequestId id, TokenId token);

  /// Ends a sequence, complete or not. not_found on a second call.
  [[nodiscard]] Result<> finish(RequestId id);
  [[nodiscard]] Result<> cancel(RequestId id) { return finish(id); }

  struct View {
    std::span<const TokenId> tokens;
    std::span<const BlockHandle> blocks;  // block i holds positions [i * block_tokens, (i + 1) * block_tokens)
    std::uint32_t computed = 0;
    std::uint32_t max_total = 0;
    bool ready = false;
    bool filled = false;
  };
  /// Valid until the next non-const call; empty for an unknown or ended sequence.
  [[nodiscard]] std::optional<View> view(RequestId id) const;

  [[nodiscard]] SchedulerCounters counters() const;
  [[nodiscard]] std::uint32_t block_tokens() const noexcept { return block_tokens_; }
  [[nodiscard]] std::uint32_t blocks_for(std::uint32_t positions) const noexcept {
    return parking_.blocks_for(positions);
  }

 private:
  [[nodiscard]] Result<> check(const SequenceSpec& spec) const;
  [[nodiscard]] Result<ScheduledSequence*> live(RequestId id);
  /// Of one that has its blocks and KV, or waits for that to come.
  [[nodiscard]] Result<ScheduledSequence*> present(RequestId id);
  [[nodiscard]] Result<ScheduledSequence*> in_flight(const Work& work);
  [[nodiscard]] Result<> settle(ScheduledSequence& seq);
  [[nodiscard]] Result<> drop(ScheduledSequence& seq);

  BlockAllocator& pool_;
  std::uint32_t block_tokens_;
  Parking parking_;
  RowPlanner rows_;
  Parking::Sequences sequences_;  // ordered, so that two runs over the same events plan the same
  std::uint64_t admissions_ = 0;
  std::uint64_t plans_ = 0;
};

}  // namespace sluice::engine
