#pragma once
// What a scheduler should hold, sequence by sequence, and whether a plan gave blocks by the rules of
// engine/policy/parking.h. For the model test.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "engine/policy/scheduler.h"

namespace sluice::engine {

struct Expected {
  std::uint32_t next_row = 0;
  std::uint32_t goal = 0;  // rows to compute before it has nothing to do
  std::uint32_t max_total = 0;
  std::uint32_t blocks = 0;
  bool fill = false;
  bool ready = true;
  bool grows = false;
  bool pinned = false;
  bool starved = false;  // the last plan had no block for its next row
  Place place = Place::here;
  std::uint32_t parked = 0;                                 // times
  std::tuple<std::int32_t, TimePoint, std::uint64_t> rank;  // among prefill chunks
  std::uint64_t plans_unserved = 0;                         // while decoding, or first of its priority
  [[nodiscard]] bool decodes() const { return !fill && goal - next_row == 1; }
  [[nodiscard]] bool here() const { return place == Place::here; }
  [[nodiscard]] bool waits_for_blocks() const { return starved || place == Place::leaving || place == Place::parked; }
};

class Expectations {
 public:
  Expectations(const BlockAllocator& pool, const Scheduler& s) : pool_(pool), s_(s) {}

  std::map<RequestId, Expected> live;
  std::map<RequestId, Work> in_flight;
  std::vector<Eviction> leaving;
  std::uint64_t preemptions = 0;

  [[nodiscard]] std::uint32_t ceil(std::uint32_t positions) const {
    return (positions + s_.block_tokens() - 1) / s_.block_tokens();
  }
  [[nodiscard]] std::uint32_t lacks(const Expected& e) const { return ceil(e.goal) - std::min(ceil(e.goal), e.blocks); }
  [[nodiscard]] bool runnable(RequestId id, const Expected& e) const {
    return e.ready && e.here() && e.next_row < e.goal && !in_flight.contains(id);
  }
  [[nodiscard]] bool parkable(RequestId id, const Expected& e) const {
    return e.grows && e.here() && e.ready && !e.pinned && !in_flight.contains(id) &&
           e.parked < Scheduler::kMostPreemptions;
  }

  /// Somebody at least as urgent waits for blocks.
  [[nodiscard]] bool others_go_before(const SequenceSpec& spec) const {
    return std::ranges::any_of(live, [&](const auto& o) {
      return o.second.waits_for_blocks() && std::tuple(std::get<0>(o.second.rank), std::get<1>(o.second.rank)) <=
                                                std::tuple(spec.priority, spec.arrival);
    });
  }

  /// Who has blocks after this plan, and whether that is by urgency.
  void planned(const Plan& p, const std::set<RequestId>& could_run) {
    for (const Eviction& x : p.evictions) {
      Expected& e = live.at(x.id);
      REQUIRE(parkable(x.id, e));
      REQUIRE(x.blocks.size() == e.blocks);
      REQUIRE(x.computed == e.next_row);
      e.place = Place::leaving;
      e.blocks = 0;
      ++e.parked;
      ++preemptions;
      leaving.push_back(x);
    }
    for (const Return& r : p.returns) {
      Expected& e = live.at(r.id);
      REQUIRE(e.place == Place::parked);
      REQUIRE(r.computed == e.next_row);
      e.place = Place::returning;
      e.blocks = ceil(e.parked < Scheduler::kMostPreemptions ? e.goal : e.max_total);
    }
    const Expected* grew = nullptr;  // the least urgent that took blocks
    std::vector<const Expected*> starved;
    for (auto& [id, e] : live) {
      const auto now = static_cast<std::uint32_t>(s_.view(id)->blocks.size());
      if (now != e.blocks) {
        REQUIRE((e.grows && could_run.contains(id) && now == ceil(e.goal)));
        if (grew == nullptr || grew->rank < e.rank) grew = &e;
        e.blocks = now;
      }
      e.starved = e.grows && e.here() && could_run.contains(id) && lacks(e) > 0;
      if (e.starved) starved.push_back(&e);
    }
    std::ranges::sort(starved, {}, [](const Expected* e) { return e->rank; });
    if (grew != nullptr && !starved.empty()) REQUIRE(grew->rank < starved.front()->rank);
    if (!starved.empty()) REQUIRE(p.returns.empty());
    returns_are_just(p);
    evictions_are_just(p, starved);
  }

 private:
  void returns_are_just(const Plan& p) {
    for (const Return& r : p.returns)
      for (const auto& [id, e] : live)
        if (e.place == Place::parked) REQUIRE(live.at(r.id).rank < e.rank);
  }

  /// Those parked are the least urgent, for somebody more urgent, and no more of them than are missed.
  void evictions_are_just(const Plan& p, const std::vector<const Expected*>& starved) {
    std::size_t to_come = pool_.free_blocks();
    for (const Eviction& x : leaving) to_come += x.blocks.size();
    for (const Eviction& x : p.evictions) {
      for (const auto& [id, e] : live)
        if (parkable(id, e)) REQUIRE(e.rank < live.at(x.id).rank);
      REQUIRE_FALSE(starved.empty());
      REQUIRE(starved.front()->rank < live.at(x.id).rank);
    }
    std::size_t missed = 0;
    bool last_was_needed = false;
    for (const Expected* s : starved) {
      missed += lacks(*s);
      if (!p.evictions.empty() && s->rank < live.at(p.evictions.back().id).rank)
        last_was_needed = last_was_needed || missed > to_come - p.evictions.back().blocks.size();
      const bool has_victim = std::ranges::any_of(
          live, [&](const auto& o) { return parkable(o.first, o.second) && s->rank < o.second.rank; });
      if (has_victim) REQUIRE(missed <= to_come);
    }
    if (!p.evictions.empty()) REQUIRE(last_was_needed);
  }

  const BlockAllocator& pool_;
  const Scheduler& s_;
};

}  // namespace sluice::engine
