#include "engine/policy/scheduler.h"

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

}  // namespace

/// One plan being filled: what is left of the limits, and the work chosen so far.
struct Scheduler::Batch {
  std::uint32_t tokens;
  std::uint32_t seats;
  std::uint32_t chunk;
  bool in_order;
  std::uint64_t plan;
  std::vector<Work> work;
  std::uint32_t prefill_rows = 0;

  /// How many of a sequence's pending rows go in, of `room`.
  [[nodiscard]] std::uint32_t share_of(const Sequence& s, std::uint32_t room) const {
    if (!in_order || s.is_decode()) return std::min({s.pending(), chunk, room});
    // A pass smaller than a chunk cuts it, but always at the same length.
    if (prefill_rows == 0) return std::min(s.pending(), room < chunk ? room : room / chunk * chunk);
    return s.pending() <= room && prefill_rows + s.pending() <= chunk ? s.pending() : 0;
  }

  void take(const Queue& q, std::uint32_t spare_tokens, std::uint32_t spare_seats) {
    for (Sequence* s : q) {
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

std::uint32_t Scheduler::Sequence::goal() const noexcept {
  return spec.fill_to ? *spec.fill_to : static_cast<std::uint32_t>(spec.tokens.size());
}

bool Scheduler::Sequence::runnable() const noexcept { return spec.ready && !ending && !in_flight && pending() > 0; }

Scheduler::Scheduler(BlockAllocator& pool, std::uint32_t block_tokens)
    : pool_(pool), block_tokens_(std::max<std::uint32_t>(1, block_tokens)) {}

std::uint32_t Scheduler::blocks_for(std::uint32_t positions) const noexcept {
  return positions / block_tokens_ + (positions % block_tokens_ != 0 ? 1 : 0);
}

Result<> Scheduler::check(const SequenceSpec& spec) const {
  if (sequences_.contains(spec.id)) return fail(Errc::already_exists, "request {} is already scheduled", spec.id);
  const std::size_t n = spec.tokens.size();
  if (spec.fill_to) {
    if (*spec.fill_to > n || *spec.fill_to > spec.max_total || spec.computed > *spec.fill_to)
      return fail(Errc::invalid_argument, "request {}: cannot fill to {} from {} with {} tokens and room for {}",
                  spec.id, *spec.fill_to, spec.computed, n, spec.max_total);
  } else if (spec.computed >= n) {
    return fail(Errc::invalid_argument, "request {}: {} of {} tokens computed leaves no row to sample from", spec.id,
                spec.computed, n);
  } else if (n > spec.max_total) {
    return fail(Errc::invalid_argument, "request {}: {} tokens exceed the declared {}", spec.id, n, spec.max_total);
  }
  if (blocks_for(spec.max_total) > pool_.total_blocks())
    return fail(Errc::invalid_argument, "request {}: {} positions need {} KV blocks, the whole pool has {}", spec.id,
                spec.max_total, blocks_for(spec.max_total), pool_.total_blocks());
  return {};
}

Result<> Scheduler::admit(SequenceSpec spec) {
  SLUICE_TRY(check(spec));
  SLUICE_ASSIGN(auto blocks, pool_.allocate(blocks_for(spec.max_total)));
  Sequence seq;
  seq.blocks = std::move(blocks);
  seq.admitted = ++admissions_;
  seq.last_plan = plans_;
  const RequestId id = spec.id;
  seq.spec = std::move(spec);
  sequences_.emplace(id, std::move(seq));
  return {};
}

Result<> Scheduler::mark_ready(RequestId id) {
  SLUICE_ASSIGN(Sequence * s, live(id));
  if (!s->spec.ready) {
    s->spec.ready = true;
    s->last_plan = plans_;
  }
  return {};
}

Result<> Scheduler::hold(RequestId id) {
  SLUICE_ASSIGN(Sequence * s, live(id));
  s->spec.ready = false;
  return {};
}

Result<> Scheduler::supply(RequestId id, std::uint32_t first, std::span<const TokenId> tokens) {
  SLUICE_ASSIGN(Sequence * s, live(id));
  if (s->spec.ready) return fail(Errc::stale, "request {} runs already", id);
  if (first > s->spec.tokens.size() || tokens.size() > s->spec.tokens.size() - first)
    return fail(Errc::invalid_argument, "request {}: no place for {} tokens from {} on among {}", id, tokens.size(),
                first, s->spec.tokens.size());
  std::ranges::copy(tokens, s->spec.tokens.begin() + first);
  return {};
}

std::vector<Work> Scheduler::plan(const PlanLimits& limits) {
  ++plans_;
  Queue decodes;
  Queue prefills;
  for (auto& [id, s] : sequences_)
    if (s.runnable()) (s.is_decode() ? decodes : prefills).push_back(&s);
  sort_decodes(decodes);
  sort_prefills(prefills);

  Batch batch{limits.max_batch_tokens,
              limits.max_seqs,
              std::max<std::uint32_t>(1, limits.prefill_chunk),
              limits.in_order,
              plans_,
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
    std::ranges::copy_if(prefills, std::back_inserter(few), [&](const Sequence* s) { return s->pending() <= most; });
    batch.take(few, batch.tokens / 2, 0);
    std::erase_if(prefills, [](const Sequence* s) { return s->in_flight.has_value(); });
  }
  batch.take(prefills, 0, 0);
  return std::move(batch.work);
}

void Scheduler::sort_decodes(Queue& q) const {
  std::ranges::sort(q, {}, [](const Sequence* s) {
    return std::tuple(s->last_plan, s->spec.priority, s->spec.arrival, s->admitted);
  });
}

void Scheduler::sort_prefills(Queue& q) const {
  std::ranges::sort(q, {},
                    [](const Sequence* s) { return std::tuple(s->spec.priority, s->spec.arrival, s->admitted); });
  // Within one priority the order is that of arrival, which starves nobody: only who is less urgent than the first may
  // be overdue. One chunk per plan: enough that all priorities come round, too little to upset the order for the rest.
  auto overdue = q.end();
  for (auto it = q.begin(); it != q.end(); ++it) {
    const bool heads = it != q.begin() && (*it)->spec.priority != (*std::prev(it))->spec.priority;
    if (heads && (overdue == q.end() || (*it)->last_plan < (*overdue)->last_plan)) overdue = it;
  }
  if (overdue == q.end() || plans_ - (*overdue)->last_plan <= kOverduePlans) return;
  for (Sequence* s : q)  // the others of its priority had their turn by it
    if (s->spec.priority == (*overdue)->spec.priority) s->last_plan = plans_;
  std::rotate(q.begin(), overdue, overdue + 1);
}

Result<> Scheduler::commit(const Work& work) {
  SLUICE_ASSIGN(Sequence * s, in_flight(work));
  s->spec.computed = work.first + work.count;
  return settle(*s);
}

Result<> Scheduler::commit_run(const Work& work, std::uint32_t steps, TokenId token) {
  SLUICE_ASSIGN(Sequence * s, in_flight(work));
  if (s->spec.fill_to || work.count != 1 || steps == 0)
    return fail(Errc::invalid_argument, "request {}: {} steps of {} rows are no run of decode steps", work.id, steps,
                work.count);
  if (steps - 1 > s->spec.max_total - s->spec.tokens.size())
    return fail(Errc::resource_exhausted, "request {}: {} steps exceed its {} declared positions", work.id, steps,
                s->spec.max_total);
  s->spec.tokens.resize(s->spec.tokens.size() + steps - 1, token);
  s->spec.computed = work.first + steps;
  return settle(*s);
}

Result<> Scheduler::abandon(const Work& work) {
  SLUICE_ASSIGN(Sequence * s, in_flight(work));
  return settle(*s);
}

Result<> Scheduler::settle(Sequence& seq) {
  seq.in_flight.reset();
  return seq.ending ? drop(seq) : Result<>{};
}

Result<> Scheduler::append(RequestId id, TokenId token) {
  SLUICE_ASSIGN(Sequence * s, live(id));
  if (s->spec.fill_to) return fail(Errc::invalid_argument, "request {} only fills KV, it takes no tokens", id);
  if (s->spec.tokens.size() >= s->spec.max_total)
    return fail(Errc::resource_exhausted, "request {} holds all of its {} declared positions", id, s->spec.max_total);
  s->spec.tokens.push_back(token);
  return {};
}

Result<> Scheduler::finish(RequestId id) {
  SLUICE_ASSIGN(Sequence * s, live(id));
  s->ending = true;
  return s->in_flight ? Result<>{} : drop(*s);
}

Result<> Scheduler::drop(Sequence& seq) {
  Result<> outcome;
  for (const BlockHandle& b : seq.blocks)
    if (auto r = pool_.release(b); !r && outcome) outcome = std::move(r);
  sequences_.erase(seq.spec.id);
  return outcome;
}

Result<Scheduler::Sequence*> Scheduler::live(RequestId id) {
  const auto it = sequences_.find(id);
  if (it == sequences_.end() || it->second.ending) return fail(Errc::not_found, "request {} is not scheduled", id);
  return &it->second;
}

Result<Scheduler::Sequence*> Scheduler::in_flight(const Work& work) {
  const auto it = sequences_.find(work.id);
  if (it == sequences_.end()) return fail(Errc::not_found, "request {} is not scheduled", work.id);
  if (it->second.in_flight != work)
    return fail(Errc::stale, "request {}: rows [{}, {}) are not in flight", work.id, work.first,
                std::uint64_t{work.first} + work.count);
  return &it->second;
}

std::optional<Scheduler::View> Scheduler::view(RequestId id) const {
  const auto it = sequences_.find(id);
  if (it == sequences_.end() || it->second.ending) return std::nullopt;
  const Sequence& s = it->second;
  return View{s.spec.tokens,    s.blocks,     s.spec.computed,
              s.spec.max_total, s.spec.ready, s.spec.fill_to && s.spec.computed == *s.spec.fill_to};
}

SchedulerCounters Scheduler::counters() const {
  SchedulerCounters c{.free_blocks = pool_.free_blocks(), .total_blocks = pool_.total_blocks()};
  for (const auto& [id, s] : sequences_) {
    if (s.ending)
      ++c.ending;
    else if (!s.spec.ready)
      ++c.awaiting_kv;
    else if (s.spec.fill_to && s.pending() == 0)
      ++c.filled;
    else if (!s.planned_before)
      ++c.waiting;
    else
      ++c.running;
  }
  return c;
}

}  // namespace sluice::engine
