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
// Blocks for the whole declared need are reserved at admit, so nothing admitted can run out later. They are
// freed once: at finish(), or, while a forward pass still writes into them, when that pass is committed.
//
// Order within a plan: decode rows first, least recently served first; then prefill chunks by priority (lower
// first) and arrival. Nobody starves: prefill keeps a share of the budget, and the first of a priority that more
// urgent ones passed over for kOverduePlans plans goes to the front.
//
// Threading: none; the owner serialises calls. Time enters only as SequenceSpec::arrival.
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "engine/policy/block_allocator.h"

namespace sluice::engine {

struct SequenceSpec {
  RequestId id{};
  std::vector<TokenId> tokens{};           // the prompt, and after a resume what was generated before
  std::uint32_t computed = 0;              // positions whose KV is in the pool once the sequence is ready
  std::uint32_t max_total = 0;             // positions it may ever hold; blocks for all of them are reserved
  std::optional<std::uint32_t> fill_to{};  // compute the KV of this many positions and stop; no sampling
  std::int32_t priority = 0;               // lower goes first
  TimePoint arrival{};
  bool ready = true;  // false: KV is on its way, nothing runs before mark_ready()
};

/// Rows [first, first + count) of one sequence in one forward pass.
struct Work {
  RequestId id;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  bool wants_logits = false;  // the last row's logits are sampled
  friend bool operator==(const Work&, const Work&) = default;
};

struct PlanLimits {
  std::uint32_t max_batch_tokens = 2048;  // rows in one forward pass
  std::uint32_t max_seqs = 256;           // sequences in one forward pass
  std::uint32_t prefill_chunk = 512;      // rows of one sequence in one forward pass (see in_order); 0 counts as 1
  // Prompts one after another rather than side by side: the oldest gets as many whole chunks as fit, and others join
  // only while the pass holds one chunk in all. Prompts then end sooner on average, when they end does not depend on
  // who comes later, and chunks are the same whoever shares the pass: KV leaves by chunk and key scales span tokens,
  // so a lossy profile's answer would depend on batch mates else.
  bool in_order = false;
  // Rows of prompts in one forward pass; 0: as many as fit. Where answers are decoded they wait for these. Sequences
  // with few rows pending then go before the others, in half of it at most.
  std::uint32_t most_prompt_rows = 0;
};

struct SchedulerCounters {
  std::uint32_t free_blocks = 0;
  std::uint32_t total_blocks = 0;
  std::uint32_t awaiting_kv = 0;  // admitted, KV not here yet; or held
  std::uint32_t waiting = 0;      // ready, never in a plan
  std::uint32_t running = 0;      // was in a plan, has more to do
  std::uint32_t filled = 0;       // reached fill_to, holds its blocks until finish()
  std::uint32_t ending = 0;       // finished or cancelled, a forward pass still writes into its blocks
};

class Scheduler {
 public:
  /// The first prefill chunk of its priority, passed over this many plans in a row, goes to the front.
  static constexpr std::uint64_t kOverduePlans = 16;

  /// `pool` is shared with whoever fills or ships blocks, and must outlive this. `block_tokens` > 0.
  Scheduler(BlockAllocator& pool, std::uint32_t block_tokens);

  /// Reserves the whole declared need. resource_exhausted: retry later; already_exists: the id is in use;
  /// invalid_argument: the numbers contradict each other, or the need exceeds the whole pool.
  [[nodiscard]] Result<> admit(SequenceSpec spec);

  /// The KV this sequence waited for is in its blocks. A second call changes nothing.
  [[nodiscard]] Result<> mark_ready(RequestId id);

  /// From now on nothing of it runs, until mark_ready() is called again. It keeps its blocks; a pass in flight is
  /// settled as ever.
  [[nodiscard]] Result<> hold(RequestId id);

  /// Tokens `first` and following of a sequence that is not ready: those in its spec stood for ones that nobody knew
  /// yet. stale: it runs already; invalid_argument: it has no such positions.
  [[nodiscard]] Result<> supply(RequestId id, std::uint32_t first, std::span<const TokenId> tokens);

  /// The next forward pass. A sequence with a pass in flight is left out, so several plans may be under way.
  [[nodiscard]] std::vector<Work> plan(const PlanLimits& limits);

  /// The pass ran: its positions count as computed. Frees the blocks of a sequence that ended meanwhile.
  [[nodiscard]] Result<> commit(const Work& work);

  /// A decode row's pass and the `steps` - 1 after it ran, each on the token sampled before: what commit and append in
  /// turn would have left, the last append aside. For whoever knows that those plans would have been the same (the
  /// simulator). resource_exhausted beyond max_total; invalid_argument: no decode row, or no step.
  [[nodiscard]] Result<> commit_run(const Work& work, std::uint32_t steps, TokenId token);

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
  [[nodiscard]] std::uint32_t blocks_for(std::uint32_t positions) const noexcept;

 private:
  struct Sequence {
    SequenceSpec spec;
    std::vector<BlockHandle> blocks;
    std::optional<Work> in_flight;
    std::uint64_t admitted = 0;  // order of admission, the last tie-break
    // Plan it was last part of, or in which it became runnable or one of its priority was served as overdue.
    std::uint64_t last_plan = 0;
    bool planned_before = false;
    bool ending = false;

    [[nodiscard]] std::uint32_t goal() const noexcept;
    [[nodiscard]] std::uint32_t pending() const noexcept { return goal() - spec.computed; }
    [[nodiscard]] bool runnable() const noexcept;
    [[nodiscard]] bool is_decode() const noexcept { return !spec.fill_to && pending() == 1; }
  };
  using Queue = std::vector<Sequence*>;
  struct Batch;

  [[nodiscard]] Result<> check(const SequenceSpec& spec) const;
  [[nodiscard]] Result<Sequence*> live(RequestId id);
  [[nodiscard]] Result<Sequence*> in_flight(const Work& work);
  [[nodiscard]] Result<> settle(Sequence& seq);
  [[nodiscard]] Result<> drop(Sequence& seq);
  void sort_decodes(Queue& q) const;
  void sort_prefills(Queue& q) const;

  BlockAllocator& pool_;
  std::uint32_t block_tokens_;
  std::map<RequestId, Sequence> sequences_;  // ordered, so that two runs over the same events plan the same
  std::uint64_t admissions_ = 0;
  std::uint64_t plans_ = 0;
  bool prefill_turn_ = false;  // where one row must do for both kinds, they take turns
};

}  // namespace sluice::engine
