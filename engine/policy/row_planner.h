#pragma once
// Which rows of which runnable sequences go into a pass. Of the scheduler; pure.
//
// Order within a plan: decode rows first, least recently served first; then prefill chunks by priority (lower first)
// and arrival. Nobody starves: prefill keeps a share of the budget, and the first of a priority that more urgent ones
// passed over for kOverduePlans plans goes to the front.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/policy/sequence.h"

namespace sluice::engine {

struct PlanLimits {
  std::uint32_t max_batch_tokens = 2048;  // rows in one forward pass
  std::uint32_t max_seqs = 256;           // sequences in one forward pass
  std::uint32_t prefill_chunk = 512;      // rows of one sequence in one forward pass (see in_order); 0 counts as 1
  // Prompts one after another rather than side by side: the oldest gets as many whole columns as fit, and others join
  // only while the pass holds one chunk in all. Prompts then end sooner on average, and when they end does not depend
  // on who comes later. Passes end where columns do, wherever a prompt's first row is and whoever shares the pass: KV
  // leaves by column and key scales span tokens, so a lossy profile's answer would depend on batch mates else.
  bool in_order = false;
  // Rows of prompts in one forward pass; 0: as many as fit. Where answers are decoded they wait for these. Sequences
  // with few rows pending then go before the others, in half of it at most.
  std::uint32_t most_prompt_rows = 0;

  /// Positions of a column: they are cut at multiples of it.
  [[nodiscard]] std::uint32_t column() const noexcept {
    return std::max<std::uint32_t>(1, std::min(prefill_chunk, max_batch_tokens));
  }
};

class RowPlanner {
 public:
  /// The first prefill chunk of its priority, passed over this many plans in a row, goes to the front.
  static constexpr std::uint64_t kOverduePlans = 16;
  using Queue = std::vector<ScheduledSequence*>;

  /// Rows of these runnable sequences, which are in flight from now on. `plan` counts plans.
  [[nodiscard]] std::vector<Work> plan(const Queue& runnable, const PlanLimits& limits, std::uint64_t plan);

 private:
  struct Batch;
  static void sort_decodes(Queue& q);
  static void sort_prefills(Queue& q, std::uint64_t plan);

  bool prefill_turn_ = false;  // where one row must do for both kinds, they take turns
};

}  // namespace sluice::engine
