#include "engine/policy/scheduler.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace sluice::engine {

Scheduler::Scheduler(BlockAllocator& pool, std::uint32_t block_tokens)
    : pool_(pool), block_tokens_(std::max<std::uint32_t>(1, block_tokens)), parking_(pool, block_tokens_) {}

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
  if (spec.shared.size() * std::size_t{block_tokens_} > spec.computed)
    return fail(Errc::invalid_argument, "request {}: {} shared blocks reach beyond its {} computed positions", spec.id,
                spec.shared.size(), spec.computed);
  if (blocks_for(spec.max_total) > pool_.total_blocks())
    return fail(Errc::invalid_argument, "request {}: {} positions need {} KV blocks, the whole pool has {}", spec.id,
                spec.max_total, blocks_for(spec.max_total), pool_.total_blocks());
  return {};
}

Result<> Scheduler::admit(SequenceSpec spec) {
  SLUICE_TRY(check(spec));
  if (Parking::goes_before(sequences_, spec))
    return fail(Errc::resource_exhausted, "request {}: others wait for KV blocks before it", spec.id);
  const auto begins_with = spec.grows ? static_cast<std::uint32_t>(spec.tokens.size()) : spec.max_total;
  SLUICE_ASSIGN(const auto own, pool_.allocate(blocks_for(begins_with) - spec.shared.size()));
  ScheduledSequence seq;
  seq.blocks = std::exchange(spec.shared, {});
  seq.blocks.insert(seq.blocks.end(), own.begin(), own.end());
  seq.admitted = ++admissions_;
  seq.last_plan = plans_;
  const RequestId id = spec.id;
  seq.spec = std::move(spec);
  sequences_.emplace(id, std::move(seq));
  return {};
}

Result<> Scheduler::mark_ready(RequestId id) {
  SLUICE_ASSIGN(ScheduledSequence * s, live(id));
  if (s->place == Place::leaving || s->place == Place::parked) return fail(Errc::stale, "request {} is parked", id);
  if (s->ready()) return {};
  s->place = Place::here;
  s->spec.ready = true;
  s->last_plan = plans_;
  return {};
}

Result<> Scheduler::recompute(RequestId id) {
  SLUICE_ASSIGN(ScheduledSequence * s, live(id));
  if (s->place != Place::returning) return fail(Errc::stale, "request {} does not return", id);
  s->spec.computed = 0;
  return mark_ready(id);
}

Result<> Scheduler::hold(RequestId id) {
  SLUICE_ASSIGN(ScheduledSequence * s, present(id));
  s->spec.ready = false;
  return {};
}

Result<> Scheduler::pin(RequestId id) {
  SLUICE_ASSIGN(ScheduledSequence * s, present(id));
  s->pinned = true;
  return {};
}

void Scheduler::unpin(RequestId id) {
  if (auto s = live(id)) (*s)->pinned = false;
}

Result<> Scheduler::reserve(RequestId id, std::uint32_t positions) {
  SLUICE_ASSIGN(ScheduledSequence * s, present(id));
  if (positions > s->spec.max_total)
    return fail(Errc::invalid_argument, "request {}: {} positions exceed its {} declared ones", id, positions,
                s->spec.max_total);
  return parking_.grow(*s, positions);
}

Result<> Scheduler::evicted(const Eviction& e) {
  const auto it = sequences_.find(e.id);
  if (it != sequences_.end() && it->second.place == Place::leaving && it->second.eviction == e.number)
    it->second.place = Place::parked;
  return parking_.evicted(e);
}

Result<> Scheduler::supply(RequestId id, std::uint32_t first, std::span<const TokenId> tokens) {
  SLUICE_ASSIGN(ScheduledSequence * s, live(id));
  if (s->spec.ready) return fail(Errc::stale, "request {} runs already", id);
  if (first > s->spec.tokens.size() || tokens.size() > s->spec.tokens.size() - first)
    return fail(Errc::invalid_argument, "request {}: no place for {} tokens from {} on among {}", id, tokens.size(),
                first, s->spec.tokens.size());
  std::ranges::copy(tokens, s->spec.tokens.begin() + first);
  return {};
}

Plan Scheduler::plan(const PlanLimits& limits) {
  ++plans_;
  Plan out;
  out.evictions = parking_.make_room(sequences_);
  out.returns = parking_.bring_back(sequences_);
  RowPlanner::Queue runnable;
  for (auto& [id, s] : sequences_)
    if (s.runnable()) runnable.push_back(&s);
  out.work = rows_.plan(runnable, limits, plans_);
  return out;
}

Result<> Scheduler::commit(const Work& work) {
  SLUICE_ASSIGN(ScheduledSequence * s, in_flight(work));
  s->spec.computed = work.first + work.count;
  return settle(*s);
}

Result<> Scheduler::commit_run(const Work& work, std::uint32_t steps, TokenId token) {
  SLUICE_ASSIGN(ScheduledSequence * s, in_flight(work));
  if (s->spec.fill_to || work.count != 1 || steps == 0)
    return fail(Errc::invalid_argument, "request {}: {} steps of {} rows are no run of decode steps", work.id, steps,
                work.count);
  if (steps - 1 > s->spec.max_total - s->spec.tokens.size())
    return fail(Errc::resource_exhausted, "request {}: {} steps exceed its {} declared positions", work.id, steps,
                s->spec.max_total);
  if (!s->ending) SLUICE_TRY(parking_.grow(*s, work.first + steps));
  s->spec.tokens.resize(s->spec.tokens.size() + steps - 1, token);
  s->spec.computed = work.first + steps;
  return settle(*s);
}

std::uint32_t Scheduler::steps_ahead(std::span<const Work> running, std::uint32_t most) const {
  const auto lacks = [&](std::uint32_t steps) {
    std::uint64_t blocks = 0;
    for (const Work& w : running)
      if (const auto it = sequences_.find(w.id); it != sequences_.end())
        blocks += parking_.lacking(it->second, w.first + std::min(steps, it->second.spec.max_total - w.first));
    return blocks;
  };
  if (lacks(most) <= pool_.free_blocks()) return std::max(1U, most);
  std::uint32_t fits = 1;
  for (std::uint32_t over = most; over - fits > 1;) {
    const std::uint32_t middle = fits + (over - fits) / 2;
    (lacks(middle) <= pool_.free_blocks() ? fits : over) = middle;
  }
  return fits;
}

Result<> Scheduler::abandon(const Work& work) {
  SLUICE_ASSIGN(ScheduledSequence * s, in_flight(work));
  return settle(*s);
}

Result<> Scheduler::settle(ScheduledSequence& seq) {
  seq.in_flight.reset();
  return seq.ending ? drop(seq) : Result<>{};
}

Result<> Scheduler::append(RequestId id, TokenId token) {
  SLUICE_ASSIGN(ScheduledSequence * s, live(id));
  if (s->spec.fill_to) return fail(Errc::invalid_argument, "request {} only fills KV, it takes no tokens", id);
  if (s->spec.tokens.size() >= s->spec.max_total)
    return fail(Errc::resource_exhausted, "request {} holds all of its {} declared positions", id, s->spec.max_total);
  s->spec.tokens.push_back(token);
  return {};
}

Result<> Scheduler::finish(RequestId id) {
  SLUICE_ASSIGN(ScheduledSequence * s, live(id));
  s->ending = true;
  return s->in_flight ? Result<>{} : drop(*s);
}

Result<> Scheduler::drop(ScheduledSequence& seq) {
  Result<> outcome;
  for (const BlockHandle& b : seq.blocks)
    if (auto r = pool_.release(b); !r && outcome) outcome = std::move(r);
  sequences_.erase(seq.spec.id);
  return outcome;
}

Result<ScheduledSequence*> Scheduler::live(RequestId id) {
  const auto it = sequences_.find(id);
  if (it == sequences_.end() || it->second.ending) return fail(Errc::not_found, "request {} is not scheduled", id);
  return &it->second;
}

Result<ScheduledSequence*> Scheduler::present(RequestId id) {
  SLUICE_ASSIGN(ScheduledSequence * s, live(id));
  if (s->place != Place::here) return fail(Errc::stale, "request {} is parked", id);
  return s;
}

Result<ScheduledSequence*> Scheduler::in_flight(const Work& work) {
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
  const ScheduledSequence& s = it->second;
  return View{s.spec.tokens,    s.blocks,  s.spec.computed,
              s.spec.max_total, s.ready(), s.spec.fill_to && s.spec.computed == *s.spec.fill_to};
}

SchedulerCounters Scheduler::counters() const {
  SchedulerCounters c{
      .free_blocks = pool_.free_blocks(), .total_blocks = pool_.total_blocks(), .preemptions = parking_.preemptions()};
  for (const auto& [id, s] : sequences_) {
    c.starved += s.starved && !s.ending ? 1 : 0;
    if (s.ending)
      ++c.ending;
    else if (s.place != Place::here) {
      ++c.parked;
      c.parked_blocks += parking_.lacking(s, s.goal());
    } else if (!s.spec.ready)
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
