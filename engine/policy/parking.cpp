#include "engine/policy/parking.h"

#include <algorithm>
#include <utility>

namespace sluice::engine {

std::uint32_t Parking::lacking(const ScheduledSequence& s, std::uint32_t positions) const noexcept {
  const std::uint32_t need = blocks_for(positions);
  const auto have = static_cast<std::uint32_t>(s.blocks.size());
  return need > have ? need - have : 0;
}

Result<> Parking::grow(ScheduledSequence& s, std::uint32_t positions) {
  const std::uint32_t lacks = lacking(s, positions);
  if (lacks == 0) return {};
  SLUICE_ASSIGN(const auto more, pool_.allocate(lacks));
  s.blocks.insert(s.blocks.end(), more.begin(), more.end());
  return {};
}

bool Parking::may_be_parked(const ScheduledSequence& s) {
  return s.spec.grows && s.ready() && !s.ending && !s.in_flight && !s.pinned && s.preemptions < kMostPreemptions;
}

Eviction Parking::park(ScheduledSequence& s) {
  ++s.preemptions;
  s.eviction = ++preemptions_;
  s.place = Place::leaving;
  leaving_ += static_cast<std::uint32_t>(s.blocks.size());
  return {s.spec.id, std::exchange(s.blocks, {}), s.spec.computed, s.eviction};
}

std::vector<Eviction> Parking::make_room(Sequences& all) {
  std::vector<ScheduledSequence*> needy;
  for (auto& [id, s] : all) {
    s.starved = false;
    if (s.spec.grows && s.runnable() && lacking(s, s.goal()) > 0) needy.push_back(&s);
  }
  owed_ = 0;
  std::vector<Eviction> out;
  if (needy.empty()) return out;
  std::ranges::sort(needy, {}, [](const ScheduledSequence* s) { return s->urgency(); });

  // Who may make way, the least urgent last. A sequence of the needy may be among them.
  std::vector<ScheduledSequence*> victims;
  bool looked = false;
  std::uint32_t coming = leaving_;  // of blocks that are being copied out, those that nobody waits for
  for (ScheduledSequence* s : needy) {
    if (s->place != Place::here) continue;  // it was parked for a more urgent one
    const std::uint32_t lacks = lacking(*s, s->goal());
    const std::uint32_t free = pool_.free_blocks() - owed_;
    if (lacks <= free && grow(*s, s->goal())) continue;
    s->starved = true;
    if (!looked) {
      looked = true;
      for (auto& [id, v] : all)
        if (may_be_parked(v)) victims.push_back(&v);
      std::ranges::sort(victims, {}, [](const ScheduledSequence* v) { return v->urgency(); });
    }
    while (free + coming < lacks && !victims.empty() && s->urgency() < victims.back()->urgency()) {
      out.push_back(park(*victims.back()));
      coming += static_cast<std::uint32_t>(out.back().blocks.size());
      victims.pop_back();
    }
    // What it waits for is not given to the less urgent.
    const std::uint32_t of_free = std::min(free, lacks);
    owed_ += of_free;
    coming -= std::min(coming, lacks - of_free);
  }
  return out;
}

std::vector<Return> Parking::bring_back(Sequences& all) {
  std::vector<ScheduledSequence*> parked;
  for (auto& [id, s] : all)
    if (s.place == Place::parked && !s.ending) parked.push_back(&s);
  std::vector<Return> out;
  std::ranges::sort(parked, {}, [](const ScheduledSequence* s) { return s->urgency(); });
  for (ScheduledSequence* s : parked) {
    const std::uint32_t had = blocks_for(s->goal());
    const bool for_good = s->preemptions >= kMostPreemptions;
    const std::uint32_t most = blocks_for(s->spec.max_total);
    const std::uint32_t spare = std::max<std::uint32_t>(1, had / 8) << (s->preemptions - 1);
    const std::uint32_t want = for_good ? most : std::min(most, had + spare);
    if (want > pool_.free_blocks() - owed_) break;  // a less urgent one that fits does not go before it
    if (!grow(*s, for_good ? s->spec.max_total : s->goal())) break;
    s->place = Place::returning;
    owed_ += want - std::min(want, static_cast<std::uint32_t>(s->blocks.size()));  // its spare room, in this plan
    out.push_back({s->spec.id, s->spec.computed});
  }
  return out;
}

Result<> Parking::evicted(const Eviction& e) {
  Result<> outcome;
  for (const BlockHandle& b : e.blocks) {
    auto released = pool_.release(b);
    if (released)
      --leaving_;
    else if (outcome)
      outcome = std::move(released);
  }
  return outcome;
}

bool Parking::goes_before(const Sequences& all, const SequenceSpec& newcomer) {
  return std::ranges::any_of(all, [&](const auto& entry) {
    const ScheduledSequence& s = entry.second;
    const bool waits = s.starved || s.place == Place::leaving || s.place == Place::parked;
    return waits && !s.ending &&
           std::tuple(s.spec.priority, s.spec.arrival) <= std::tuple(newcomer.priority, newcomer.arrival);
  });
}

}  // namespace sluice::engine
