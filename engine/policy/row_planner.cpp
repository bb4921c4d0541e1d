#include "engine/policy/row_planner.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace sluice::engine {

namespace {

// Share of the token budget that decode rows leave to prefill while any is runnable. It binds only when decode
// rows alone would fill three quarters of a pass.
constexpr std::uint32_t kPrefillShare = 4;

// Rows that go before prompts where those are bounded.
constexpr std::uint32_t kFewRows = 32;

/// As many of `room` rows from `first` on as end where a column does. Room that ends within a column is filled: that is
/// where decode rows leave less than one.
std::uint32_t whole_columns(std::uint32_t first, std::uint32_t room, std::uint32_t column) {
  const std::uint32_t into = first % column;
  const std::uint64_t whole = (std::uint64_t{into} + room) / column * column;
  return whole > into ? static_cast<std::uint32_t>(whole - into) : room;
}

}  // namespace

/// One plan being filled: what is left of the limits, and the work chosen so far.
struct RowPlanner::Batch {
  std::uint32_t tokens;
  std::uint32_t seats;
  std::uint32_t chunk;
  std::uint32_t column;
  bool in_order;
  std::uint64_t plan;
  std::vector<Work> work;
  std::uint32_t prefill_rows = 0;

  /// How many of a sequence's pending rows go in, of `room`.
  [[nodiscard]] std::uint32_t share_of(const ScheduledSequence& s, std::uint32_t room) const {
    if (!in_order || s.is_decode()) return std::min({s.pending(), chunk, room});
    if (prefill_rows == 0) return std::min(s.pending(), whole_columns(s.spec.computed, room, column));
    return s.pending() <= room && prefill_rows + s.pending() <= chunk ? s.pending() : 0;
  }

  void take(const Queue& q, std::uint32_t spare_tokens, std::uint32_t spare_seats) {
    for (ScheduledSequence* s : q) {
      if (tokens <= spare_tokens || seats <= spare_seats) return;
      const std::uint32_t count = share_of(*s, tokens - spare_tokens);
      if (count == 0) continue;
      const bool reaches_end = s->spec.computed + count == s->goal();
      s->in_flight = Work{s->spec.id, s->spec.computed, count, reaches_end && !s->spec.fill_to};
      s->last_plan = plan;
      s->planned_before = true;
      work.push_back(*s->in_flight);
      if (!s->is_decode()) prefill_rows += count;
      tokens -= count;
      --seats;
    }
  }
};

std::vector<Work> RowPlanner::plan(const Queue& runnable, const PlanLimits& limits, std::uint64_t plan) {
  Queue decodes;
  Queue prefills;
  for (ScheduledSequence* s : runnable) (s->is_decode() ? decodes : prefills).push_back(s);
  sort_decodes(decodes);
  sort_prefills(prefills, plan);

  Batch batch{limits.max_batch_tokens,
              limits.max_seqs,
              std::max<std::uint32_t>(1, limits.prefill_chunk),
              limits.column(),
              limits.in_order,
              plan,
              {},
              0};
  std::uint32_t spare_tokens = 0;
  std::uint32_t spare_seats = 0;
  if (!decodes.empty() && !prefills.empty()) {
    if (batch.tokens <= 1 || batch.seats <= 1) {
      (prefill_turn_ ? decodes : prefills).clear();
      prefill_turn_ = !prefill_turn_;
    } else {
      spare_tokens = std::clamp<std::uint32_t>(batch.tokens / kPrefillShare, 1, batch.chunk);
      spare_seats = 1;
    }
  }
  batch.take(decodes, spare_tokens, spare_seats);
  if (limits.most_prompt_rows > 0) {
    batch.tokens = std::min(batch.tokens, limits.most_prompt_rows);
    // A running answer's few rows (forced tokens, a replay) do not wait behind whole prompts.
    Queue few;
    const std::uint32_t most = std::min(kFewRows, batch.tokens / 2);
    std::ranges::copy_if(prefills, std::back_inserter(few),
                         [&](const ScheduledSequence* s) { return s->pending() <= most; });
    batch.take(few, batch.tokens / 2, 0);
    std::erase_if(prefills, [](const ScheduledSequence* s) { return s->in_flight.has_value(); });
  }
  batch.take(prefills, 0, 0);
  return std::move(batch.work);
}

void RowPlanner::sort_decodes(Queue& q) {
  std::ranges::sort(q, {}, [](const ScheduledSequence* s) {
    return std::tuple(s->last_plan, s->spec.priority, s->spec.arrival, s->admitted);
  });
}

void RowPlanner::sort_prefills(Queue& q, std::uint64_t plan) {
  std::ranges::sort(q, {}, [](const ScheduledSequence* s) { return s->urgency(); });
  // Within one priority the order is that of arrival, which starves nobody: only who is less urgent than the first may
  // be overdue. One chunk per plan: enough that all priorities come round, too little to upset the order for the rest.
  auto overdue = q.end();
  for (auto it = q.begin(); it != q.end(); ++it) {
    const bool heads = it != q.begin() && (*it)->spec.priority != (*std::prev(it))->spec.priority;
    if (heads && (overdue == q.end() || (*it)->last_plan < (*overdue)->last_plan)) overdue = it;
  }
  if (overdue == q.end() || plan - (*overdue)->last_plan <= kOverduePlans) return;
  for (ScheduledSequence* s : q)  // the others of its priority had their turn by it
    if (s->spec.priority == (*overdue)->spec.priority) s->last_plan = plan;
  std::rotate(q.begin(), overdue, overdue + 1);
}

}  // namespace sluice::engine
