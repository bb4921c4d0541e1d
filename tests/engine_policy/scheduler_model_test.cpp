// Random event sequences against a model: no leak, no block in two hands, limits kept, rows in order and each
// exactly once, and everything admitted gets done.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "engine/policy/scheduler.h"

using namespace sluice;
using namespace sluice::engine;

namespace {

struct Expected {
  std::uint32_t next_row = 0;
  std::uint32_t goal = 0;  // rows to compute before it has nothing to do
  std::uint32_t max_total = 0;
  std::uint32_t blocks = 0;
  bool fill = false;
  bool ready = true;
  std::tuple<std::int32_t, TimePoint, std::uint64_t> rank;  // among prefill chunks
  std::uint64_t plans_unserved = 0;                         // while decoding, or first of its priority
  [[nodiscard]] bool decodes() const { return !fill && goal - next_row == 1; }
};

class Model {
 public:
  explicit Model(std::uint32_t seed)
      : rng_(seed), blocks_(pick(1, 40)), block_tokens_(pick(1, 20)), pool_(blocks_), s_(pool_, block_tokens_) {
    limits_ = {.max_batch_tokens = pick(1, 48),
               .max_seqs = pick(1, 8),
               .prefill_chunk = pick(1, 24),
               .in_order = pick(0, 1) == 1};
  }

  void run(int events) {
    for (int i = 0; i < events; ++i) {
      switch (pick(0, 9)) {
        case 0:
        case 1:
          admit();
          break;
        case 2:
          ready();
          break;
        case 3:
          finish();
          break;
        case 4:
          settle(/*all=*/false);
          break;
        case 5:
          nonsense();
          break;
        default:
          plan();
          break;
      }
      check();
    }
    drain();
  }

 private:
  std::uint32_t pick(std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(rng_);
  }

  void admit() {
    const RequestId id(next_id_++);
    const std::uint32_t n = pick(1, 60);
    SequenceSpec spec{.id = id, .tokens = std::vector<TokenId>(n, 1)};
    Expected e;
    e.fill = pick(0, 2) == 0;
    if (e.fill)
      spec.fill_to = e.goal = pick(0, n);
    else
      e.goal = n;
    e.max_total = spec.max_total = e.goal + (e.fill ? 0 : pick(0, 30));
    e.next_row = spec.computed = e.goal == 0 ? 0 : pick(0, e.goal - 1);
    e.ready = spec.ready = pick(0, 3) != 0;
    e.blocks = (e.max_total + block_tokens_ - 1) / block_tokens_;
    spec.priority = static_cast<std::int32_t>(pick(0, 2));
    spec.arrival = TimePoint(std::chrono::milliseconds(pick(0, 50)));
    e.rank = {spec.priority, spec.arrival, id.value()};
    const bool fits = e.blocks <= pool_.free_blocks();
    const auto r = s_.admit(std::move(spec));
    REQUIRE(r.has_value() == fits);
    if (!fits) {
      REQUIRE(r.error().code == (e.blocks > blocks_ ? Errc::invalid_argument : Errc::resource_exhausted));
      return;
    }
    live_.emplace(id, e);
  }

  RequestId any() { return std::next(live_.begin(), pick(0, static_cast<std::uint32_t>(live_.size()) - 1))->first; }

  void ready() {
    if (live_.empty()) return;
    const RequestId id = any();
    REQUIRE(s_.mark_ready(id));
    live_.at(id).ready = true;
  }

  void finish() {
    if (live_.empty()) return;
    end(any());
  }

  void end(RequestId id) {
    REQUIRE(s_.finish(id));
    REQUIRE(s_.finish(id).error().code == Errc::not_found);
    if (in_flight_.contains(id)) ending_.emplace(id, live_.at(id).blocks);
    live_.erase(id);
  }

  void nonsense() {
    REQUIRE_FALSE(s_.finish(RequestId(next_id_)));
    REQUIRE_FALSE(s_.commit({RequestId(next_id_), 0, 1, true}));
    if (!live_.empty()) REQUIRE_FALSE(s_.commit({any(), 100000, 1, false}));
  }

  void plan() {
    const auto work = s_.plan(limits_).work;
    REQUIRE(work.size() <= limits_.max_seqs);
    std::uint32_t rows = 0;
    const auto runnable = [&](RequestId id, const Expected& e) {
      return e.ready && e.next_row < e.goal && !in_flight_.contains(id);
    };
    for (auto& [id, e] : live_) {
      if (!runnable(id, e)) continue;
      const bool waits_for_equals = !e.decodes() && std::ranges::any_of(live_, [&](const auto& o) {
        return runnable(o.first, o.second) && !o.second.decodes() &&
               std::get<0>(o.second.rank) == std::get<0>(e.rank) && o.second.rank < e.rank;
      });
      e.plans_unserved = waits_for_equals ? 0 : e.plans_unserved + 1;
    }
    for (const Work& w : work) {
      REQUIRE(live_.contains(w.id));
      Expected& e = live_.at(w.id);
      REQUIRE(e.ready);
      REQUIRE(in_flight_.emplace(w.id, w).second);
      REQUIRE(w.first == e.next_row);
      REQUIRE(w.count >= 1);
      if (!limits_.in_order) REQUIRE(w.count <= limits_.prefill_chunk);
      REQUIRE(w.first + w.count <= e.goal);
      REQUIRE(w.wants_logits == (!e.fill && w.first + w.count == e.goal));
      rows += w.count;
      e.plans_unserved = 0;
    }
    REQUIRE(rows <= limits_.max_batch_tokens);
    for (const auto& [id, e] : live_)  // never starving: a bound in plans that holds whatever else is going on
      REQUIRE(e.plans_unserved <= Scheduler::kOverduePlans + 4 * (most_live_ + 1));
  }

  void settle(bool all) {
    for (auto it = in_flight_.begin(); it != in_flight_.end();) {
      if (!all && pick(0, 3) == 0) {
        ++it;
        continue;
      }
      const Work w = it->second;
      it = in_flight_.erase(it);
      if (pick(0, 7) == 0) {
        REQUIRE(s_.abandon(w));
      } else {
        REQUIRE(s_.commit(w));
        if (live_.contains(w.id)) committed(w);
      }
      ending_.erase(w.id);
    }
  }

  void committed(const Work& w) {
    Expected& e = live_.at(w.id);
    e.next_row = w.first + w.count;
    e.plans_unserved = 0;
    if (!w.wants_logits) return;
    const auto r = s_.append(w.id, 2);
    REQUIRE(r.has_value() == (e.goal < e.max_total));
    if (r) ++e.goal;
  }

  void check() {
    most_live_ = std::max(most_live_, live_.size());
    std::set<BlockHandle> held;
    std::uint32_t expected = 0;
    for (const auto& [id, e] : live_) {
      const auto v = s_.view(id);
      REQUIRE(v);
      REQUIRE(v->blocks.size() == e.blocks);
      REQUIRE(v->computed == e.next_row);
      for (const BlockHandle& b : v->blocks) {
        REQUIRE(pool_.valid(b));
        REQUIRE(held.insert(b).second);
      }
      expected += e.blocks;
    }
    for (const auto& [id, n] : ending_) expected += n;
    REQUIRE(pool_.free_blocks() == blocks_ - expected);
    const auto c = s_.counters();
    REQUIRE(c.ending == ending_.size());
    REQUIRE(c.awaiting_kv + c.waiting + c.running + c.filled == live_.size());
  }

  /// With no more arrivals everything live runs to its end, in a bounded number of plans.
  void drain() {
    settle(/*all=*/true);  // passes of sequences that ended before
    for (auto& [id, e] : live_) {
      REQUIRE(s_.mark_ready(id));
      e.ready = true;
    }
    for (int i = 0; i < 20000 && !live_.empty(); ++i) {
      plan();
      settle(/*all=*/true);
      check();
      std::vector<RequestId> done;
      for (const auto& [id, e] : live_)
        if (e.next_row == e.goal) done.push_back(id);
      for (const RequestId id : done) end(id);
    }
    REQUIRE(live_.empty());
    REQUIRE(pool_.free_blocks() == blocks_);
  }

  std::mt19937 rng_;
  std::uint32_t blocks_;
  std::uint32_t block_tokens_;
  BlockAllocator pool_;
  Scheduler s_;
  PlanLimits limits_;
  std::map<RequestId, Expected> live_;
  std::map<RequestId, Work> in_flight_;
  std::map<RequestId, std::uint32_t> ending_;  // blocks of sequences that ended in mid-pass
  std::size_t most_live_ = 0;
  std::uint64_t next_id_ = 1;
};

}  // namespace

TEST_CASE("scheduler against a model over random events") {
  for (std::uint32_t seed = 0; seed < 3000; ++seed) {
    INFO("seed " << seed);
    Model(seed).run(120);
  }
}
