// Random event sequences against a model: no leak, no block in two hands, limits kept, rows in order and each
// exactly once, and everything admitted gets done. Sequences that grow share the pool with others: what they take, who
// is parked for whom and who returns is held to the rules of engine/policy/parking.h.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/policy/scheduler.h"
#include "tests/engine_policy/expectations.h"

using namespace sluice;
using namespace sluice::engine;

namespace {

class Model {
 public:
  /// Of ten sequences that sample, so many grow.
  Model(std::uint32_t seed, std::uint32_t growing)
      : rng_(seed),
        growing_(growing),
        blocks_(pick(1, 40)),
        block_tokens_(pick(1, 20)),
        pool_(blocks_),
        s_(pool_, block_tokens_) {
    limits_ = {.max_batch_tokens = pick(1, 48),
               .max_seqs = pick(1, 8),
               .prefill_chunk = pick(1, 24),
               .in_order = pick(0, 1) == 1};
  }

  void run(int events) {
    for (int i = 0; i < events; ++i) {
      switch (pick(0, growing_ == 0 ? 9 : 20)) {
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
        case 10:
        case 11:
          copies(/*all=*/false);
          break;
        case 12:
          pin_or_hold();
          break;
        case 13:
          reserve();
          break;
        case 14:
        case 15:
        case 16:
        case 17:
          settle(/*all=*/true);
          break;
        default:
          plan();
          break;
      }
      check();
    }
    drain();
  }
  [[nodiscard]] std::uint64_t preemptions() const { return x_.preemptions; }

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
    e.max_total = spec.max_total = e.goal + (e.fill ? 0 : pick(0, growing_ == 0 ? 30 : 150));
    e.next_row = spec.computed = e.goal == 0 ? 0 : pick(0, e.goal - 1);
    e.ready = spec.ready = pick(0, 3) != 0;
    e.grows = spec.grows = !e.fill && growing_ > 0 && pick(1, 10) <= growing_;
    e.blocks = x_.ceil(e.grows ? n : e.max_total);
    spec.priority = static_cast<std::int32_t>(pick(0, 2));
    spec.arrival = TimePoint(std::chrono::milliseconds(pick(0, 50)));
    e.rank = {spec.priority, spec.arrival, id.value()};
    const bool fits = x_.ceil(e.max_total) <= blocks_ && e.blocks <= pool_.free_blocks() && !x_.others_go_before(spec);
    const auto r = s_.admit(std::move(spec));
    REQUIRE(r.has_value() == fits);
    if (!fits) {
      REQUIRE(r.error().code == (x_.ceil(e.max_total) > blocks_ ? Errc::invalid_argument : Errc::resource_exhausted));
      return;
    }
    x_.live.emplace(id, e);
  }

  RequestId any() { return std::next(x_.live.begin(), pick(0, static_cast<std::uint32_t>(x_.live.size()) - 1))->first; }

  void ready() {
    if (x_.live.empty()) return;
    const RequestId id = any();
    Expected& e = x_.live.at(id);
    const bool gone = e.place == Place::leaving || e.place == Place::parked;
    if (e.place != Place::returning) REQUIRE(s_.recompute(id).error().code == Errc::stale);
    REQUIRE(s_.mark_ready(id).has_value() == !gone);
    if (gone) return;
    e.place = Place::here;
    e.ready = true;
  }

  void pin_or_hold() {
    if (x_.live.empty()) return;
    const RequestId id = any();
    Expected& e = x_.live.at(id);
    if (pick(0, 2) == 0) {
      REQUIRE(s_.hold(id).has_value() == e.here());
      e.ready = e.ready && !e.here();
    } else if (pick(0, 1) == 0) {
      REQUIRE(s_.pin(id).has_value() == e.here());
      e.pinned = e.pinned || e.here();
    } else {
      s_.unpin(id);
      e.pinned = false;
    }
  }

  void reserve() {
    if (x_.live.empty()) return;
    const RequestId id = any();
    Expected& e = x_.live.at(id);
    const std::uint32_t positions = pick(0, e.max_total + 1);
    const std::uint32_t more = x_.ceil(positions) - std::min(x_.ceil(positions), e.blocks);
    const bool can = e.here() && positions <= e.max_total && more <= pool_.free_blocks();
    REQUIRE(s_.reserve(id, positions).has_value() == can);
    if (can) e.blocks += more;
  }

  /// Copies that were under way end: blocks of those that left are free, and KV of those that return is here or lost.
  void copies(bool all) {
    std::erase_if(x_.leaving, [&](const Eviction& x) {
      if (!all && pick(0, 1) == 0) return false;
      REQUIRE(s_.evicted(x));
      REQUIRE_FALSE(s_.evicted(x));
      if (const auto it = x_.live.find(x.id); it != x_.live.end()) it->second.place = Place::parked;
      return true;
    });
    for (auto& [id, e] : x_.live) {
      if (e.place != Place::returning || (!all && pick(0, 1) == 0)) continue;
      if (pick(0, 1) == 0) {
        REQUIRE(s_.mark_ready(id));
      } else {
        REQUIRE(s_.recompute(id));
        e.next_row = 0;
      }
      e.place = Place::here;
    }
  }

  void finish() {
    if (x_.live.empty()) return;
    end(any());
  }

  void end(RequestId id) {
    REQUIRE(s_.finish(id));
    REQUIRE(s_.finish(id).error().code == Errc::not_found);
    if (x_.in_flight.contains(id)) ending_.emplace(id, x_.live.at(id).blocks);
    x_.live.erase(id);
  }

  void nonsense() {
    REQUIRE_FALSE(s_.finish(RequestId(next_id_)));
    REQUIRE_FALSE(s_.commit({RequestId(next_id_), 0, 1, true}));
    if (!x_.live.empty()) REQUIRE_FALSE(s_.commit({any(), 100000, 1, false}));
  }

  void plan() {
    std::set<RequestId> could_run;
    for (const auto& [id, e] : x_.live)
      if (x_.runnable(id, e)) could_run.insert(id);
    const Plan p = s_.plan(limits_);
    x_.planned(p, could_run);
    rows_of(p.work);
  }

  void rows_of(const std::vector<Work>& work) {
    REQUIRE(work.size() <= limits_.max_seqs);
    std::uint32_t rows = 0;
    const auto can_run = [&](RequestId id, const Expected& e) { return x_.runnable(id, e) && !e.starved; };
    for (auto& [id, e] : x_.live) {
      if (!can_run(id, e)) {
        e.plans_unserved = e.starved ? 0 : e.plans_unserved;
        continue;
      }
      const bool waits_for_equals = !e.decodes() && std::ranges::any_of(x_.live, [&](const auto& o) {
        return can_run(o.first, o.second) && !o.second.decodes() && std::get<0>(o.second.rank) == std::get<0>(e.rank) &&
               o.second.rank < e.rank;
      });
      e.plans_unserved = waits_for_equals ? 0 : e.plans_unserved + 1;
    }
    for (const Work& w : work) {
      REQUIRE(x_.live.contains(w.id));
      Expected& e = x_.live.at(w.id);
      REQUIRE(can_run(w.id, e));
      REQUIRE(x_.ceil(w.first + w.count) <= e.blocks);
      REQUIRE(x_.in_flight.emplace(w.id, w).second);
      REQUIRE(w.first == e.next_row);
      REQUIRE(w.count >= 1);
      if (!limits_.in_order) REQUIRE(w.count <= limits_.prefill_chunk);
      REQUIRE(w.first + w.count <= e.goal);
      REQUIRE(w.wants_logits == (!e.fill && w.first + w.count == e.goal));
      rows += w.count;
      e.plans_unserved = 0;
    }
    REQUIRE(rows <= limits_.max_batch_tokens);
    for (const auto& [id, e] : x_.live)  // never starving: a bound in plans that holds whatever else is going on
      REQUIRE(e.plans_unserved <= Scheduler::kOverduePlans + 4 * (most_live_ + 1));
  }

  void settle(bool all) {
    for (auto it = x_.in_flight.begin(); it != x_.in_flight.end();) {
      if (!all && pick(0, 3) == 0) {
        ++it;
        continue;
      }
      const Work w = it->second;
      it = x_.in_flight.erase(it);
      if (pick(0, 7) == 0) {
        REQUIRE(s_.abandon(w));
      } else {
        REQUIRE(s_.commit(w));
        if (x_.live.contains(w.id)) committed(w);
      }
      ending_.erase(w.id);
    }
  }

  void committed(const Work& w) {
    Expected& e = x_.live.at(w.id);
    e.next_row = w.first + w.count;
    e.plans_unserved = 0;
    if (!w.wants_logits) return;
    const auto r = s_.append(w.id, 2);
    REQUIRE(r.has_value() == (e.goal < e.max_total));
    if (r) ++e.goal;
  }

  void check() {
    most_live_ = std::max(most_live_, x_.live.size());
    std::set<BlockHandle> held;
    std::uint32_t expected = 0;
    for (const auto& [id, e] : x_.live) {
      const auto v = s_.view(id);
      REQUIRE(v);
      REQUIRE(v->blocks.size() == e.blocks);
      REQUIRE(v->computed == e.next_row);
      for (const BlockHandle& b : v->blocks) {
        REQUIRE(pool_.valid(b));
        REQUIRE(held.insert(b).second);
      }
      REQUIRE(v->ready == (e.ready && e.here()));
      expected += e.blocks;
    }
    for (const Eviction& x : x_.leaving) {
      for (const BlockHandle& b : x.blocks) {
        REQUIRE(pool_.valid(b));
        REQUIRE(held.insert(b).second);
      }
      expected += static_cast<std::uint32_t>(x.blocks.size());
    }
    for (const auto& [id, n] : ending_) expected += n;
    REQUIRE(pool_.free_blocks() == blocks_ - expected);
    const auto c = s_.counters();
    REQUIRE(c.ending == ending_.size());
    REQUIRE(c.awaiting_kv + c.waiting + c.running + c.filled + c.parked == x_.live.size());
    const auto count = [&](auto what) { return static_cast<std::uint32_t>(std::ranges::count_if(x_.live, what)); };
    REQUIRE(c.parked == count([](const auto& o) { return !o.second.here(); }));
    REQUIRE(c.starved == count([](const auto& o) { return o.second.starved; }));
    REQUIRE(c.preemptions == x_.preemptions);
    std::uint32_t parked_need = 0;
    for (const auto& [id, e] : x_.live) parked_need += e.here() ? 0 : x_.lacks(e);
    REQUIRE(c.parked_blocks == parked_need);
  }

  /// With no more arrivals everything live runs to its end, in a bounded number of plans.
  void drain() {
    settle(/*all=*/true);  // passes of sequences that ended before
    copies(/*all=*/true);
    for (auto& [id, e] : x_.live) {
      s_.unpin(id);
      e.pinned = false;
      if (e.place == Place::parked) continue;
      REQUIRE(s_.mark_ready(id));
      e.ready = true;
    }
    for (int i = 0; i < 20000 && !x_.live.empty(); ++i) {
      plan();
      settle(/*all=*/true);
      copies(/*all=*/true);
      check();
      std::vector<RequestId> done;
      for (const auto& [id, e] : x_.live)
        if (e.here() && e.next_row == e.goal) done.push_back(id);
      for (const RequestId id : done) end(id);
    }
    REQUIRE(x_.live.empty());
    REQUIRE(pool_.free_blocks() == blocks_);
  }

  std::mt19937 rng_;
  std::uint32_t growing_;
  std::uint32_t blocks_;
  std::uint32_t block_tokens_;
  BlockAllocator pool_;
  Scheduler s_;
  PlanLimits limits_;
  Expectations x_{pool_, s_};
  std::map<RequestId, std::uint32_t> ending_;  // blocks of sequences that ended in mid-pass
  std::size_t most_live_ = 0;
  std::uint64_t next_id_ = 1;
};

}  // namespace

TEST_CASE("scheduler against a model over random events") {
  for (std::uint32_t seed = 0; seed < 3000; ++seed) {
    INFO("seed " << seed);
    Model(seed, 0).run(120);
  }
}

TEST_CASE("scheduler against a model over random events: sequences that grow, among others and alone") {
  const std::uint32_t growing = GENERATE(5U, 10U);
  std::uint64_t preemptions = 0;
  for (std::uint32_t seed = 0; seed < 600; ++seed) {
    INFO("seed " << seed << ", of ten " << growing << " grow");
    Model m(seed, growing);
    m.run(400);
    preemptions += m.preemptions();
  }
  CHECK(preemptions > 100);  // else this saw nothing
}
