// Sequences that take blocks as their tokens come: who gets them, who is parked, who returns; and, at random, that
// everybody gets to his end whatever the pool.
#include "engine/policy/parking.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "engine/policy/scheduler.h"

using namespace sluice;
using namespace sluice::engine;

namespace {

constexpr std::uint32_t kBlock = 4;

struct Growing {
  std::uint64_t id = 0;
  std::uint32_t prompt = 4, max_total = 32;
  std::int32_t priority = 0;
};

struct Fixture {
  explicit Fixture(std::uint32_t blocks = 8) : pool(blocks), s(pool, kBlock) {}
  BlockAllocator pool;
  Scheduler s;
  PlanLimits limits{.max_batch_tokens = 64, .max_seqs = 16, .prefill_chunk = 16};
  std::uint64_t arrivals = 0;

  Result<> admit(const Growing& g) {
    return s.admit({.id = RequestId(g.id),
                    .tokens = std::vector<TokenId>(g.prompt, 1),
                    .computed = g.prompt - 1,
                    .max_total = g.max_total,
                    .priority = g.priority,
                    .arrival = TimePoint(std::chrono::milliseconds(++arrivals)),
                    .grows = true});
  }
  void run(const Plan& p) {
    for (const Work& w : p.work) {
      REQUIRE(s.commit(w));
      if (w.wants_logits) REQUIRE(s.append(w.id, 1));
    }
  }
  Plan step() {
    auto p = s.plan(limits);
    run(p);
    return p;
  }
  /// Plans and runs until somebody is parked.
  Plan until_eviction() {
    for (int i = 0; i < 100; ++i)
      if (auto p = step(); !p.evictions.empty()) return p;
    FAIL("nobody was parked");
    return {};
  }
};

bool has(const std::vector<Work>& work, std::uint64_t id) {
  return std::ranges::any_of(work, [&](const Work& w) { return w.id == RequestId(id); });
}

}  // namespace

TEST_CASE_METHOD(Fixture, "parking: a growing sequence has blocks for its tokens, and one more when a row needs it") {
  REQUIRE(admit({1, 4, 32}));
  CHECK(pool.free_blocks() == 7);
  step();  // computes position 3, makes token 5
  CHECK(pool.free_blocks() == 7);
  step();  // position 4 begins a block
  CHECK(pool.free_blocks() == 6);
  CHECK(s.view(RequestId(1))->blocks.size() == 2);
  REQUIRE(s.finish(RequestId(1)));
  CHECK(pool.free_blocks() == 8);
}

TEST_CASE_METHOD(Fixture, "parking: a need beyond the whole pool is refused at admission") {
  CHECK(admit({1, 4, 33}).error().code == Errc::invalid_argument);
}

TEST_CASE_METHOD(Fixture, "parking: the least urgent makes way, its blocks are free once they are copied out") {
  REQUIRE(admit({1, 14, 32}));
  REQUIRE(admit({2, 14, 32}));  // 4 blocks each: the pool is full
  const Plan p = until_eviction();
  REQUIRE(p.evictions.size() == 1);
  CHECK(p.evictions[0].id == RequestId(2));
  CHECK(p.evictions[0].blocks.size() == 4);
  CHECK(p.evictions[0].computed == 16);
  CHECK_FALSE(has(p.work, 1));  // its block is still being copied out
  CHECK(pool.free_blocks() == 0);
  CHECK(s.counters().parked == 1);
  CHECK(s.counters().starved == 1);
  CHECK(step().work.empty());
  REQUIRE(s.evicted(p.evictions[0]));
  CHECK(has(step().work, 1));
  CHECK(s.counters().starved == 0);
  CHECK(s.counters().preemptions == 1);
  CHECK(s.counters().parked_blocks == 5);  // with the token that it made last
}

TEST_CASE_METHOD(Fixture, "parking: priority goes before age") {
  REQUIRE(admit({1, 14, 32, /*priority=*/1}));
  REQUIRE(admit({2, 14, 32, 0}));
  CHECK(until_eviction().evictions.at(0).id == RequestId(1));
}

TEST_CASE_METHOD(Fixture, "parking: who has nobody to park keeps its blocks and waits") {
  REQUIRE(admit({1, 15, 32}));
  REQUIRE(s.pin(RequestId(1)));
  REQUIRE(admit({2, 16, 32}));
  step();
  Plan p = step();  // 2 needs its fifth block; 1 its fifth one only at the next row
  CHECK(p.evictions.empty());
  CHECK(s.counters().starved == 1);
  CHECK(s.view(RequestId(2))->blocks.size() == 4);
  p = step();  // 1 parks 2, which waits, for itself
  REQUIRE(p.evictions.size() == 1);
  CHECK(p.evictions[0].id == RequestId(2));
}

TEST_CASE_METHOD(Fixture, "parking: who is pinned, in flight, held or waits for KV is not parked") {
  const auto what = GENERATE(0, 1, 2, 3);
  CAPTURE(what);
  REQUIRE(admit({1, 16, 32}));
  SequenceSpec second{.id = RequestId(2),
                      .tokens = std::vector<TokenId>(14, 1),
                      .computed = 13,
                      .max_total = 32,
                      .arrival = TimePoint(std::chrono::seconds(9)),
                      .ready = what != 3,
                      .grows = true};
  REQUIRE(s.admit(std::move(second)));
  if (what == 0) REQUIRE(s.pin(RequestId(2)));
  if (what == 2) REQUIRE(s.hold(RequestId(2)));
  Plan p = s.plan(limits);
  for (const Work& w : p.work)
    if (what != 1 || w.id == RequestId(1)) {
      REQUIRE(s.commit(w));
      REQUIRE(s.append(w.id, 1));
    }
  const Plan q = s.plan(limits);
  CHECK(q.evictions.empty());
  CHECK(s.counters().starved == 1);
  if (what == 0) s.unpin(RequestId(2));
  if (what == 1) {
    REQUIRE(s.commit(p.work.at(1)));
    REQUIRE(s.append(RequestId(2), 1));
  }
  if (what >= 2) REQUIRE(s.mark_ready(RequestId(2)));
  for (const Work& w : q.work) {
    REQUIRE(s.commit(w));
    REQUIRE(s.append(w.id, 1));
  }
  CHECK(s.plan(limits).evictions.size() == 1);
}

TEST_CASE_METHOD(Fixture, "parking: it returns when there is room for what it had and some more") {
  REQUIRE(admit({1, 14, 32}));
  REQUIRE(admit({2, 14, 32}));
  const Plan p = until_eviction();
  REQUIRE(s.evicted(p.evictions[0]));
  CHECK(step().returns.empty());
  CHECK(s.mark_ready(RequestId(2)).error().code == Errc::stale);
  CHECK(s.recompute(RequestId(2)).error().code == Errc::stale);
  CHECK(s.hold(RequestId(2)).error().code == Errc::stale);
  CHECK(s.pin(RequestId(2)).error().code == Errc::stale);
  REQUIRE(s.finish(RequestId(1)));
  const Plan back = s.plan(limits);
  REQUIRE(back.returns.size() == 1);
  CHECK(back.returns[0].id == RequestId(2));
  CHECK(back.returns[0].computed == 16);
  CHECK(s.view(RequestId(2))->blocks.size() == 5);
  CHECK_FALSE(s.view(RequestId(2))->ready);
  CHECK(s.plan(limits).work.empty());
  SECTION("with its KV") {
    REQUIRE(s.mark_ready(RequestId(2)));
    CHECK(s.plan(limits).work == std::vector{Work{RequestId(2), 16, 1, true}});
  }
  SECTION("without") {
    REQUIRE(s.recompute(RequestId(2)));
    CHECK(s.plan(limits).work == std::vector{Work{RequestId(2), 0, 16, false}});
  }
  CHECK(s.counters().parked == 0);
}

TEST_CASE_METHOD(Fixture, "parking: nobody who is no more urgent is admitted before who waits for blocks") {
  REQUIRE(admit({1, 14, 32}));
  REQUIRE(admit({2, 14, 32}));
  const Plan p = until_eviction();
  REQUIRE(s.evicted(p.evictions[0]));
  REQUIRE(step().work.size() == 1);
  REQUIRE(pool.free_blocks() == 3);
  CHECK(admit({3, 4, 8}).error().code == Errc::resource_exhausted);
  CHECK(admit({4, 4, 8, /*priority=*/-1}));
}

TEST_CASE_METHOD(Fixture, "parking: it may end in every place, and a late report of its eviction does no harm") {
  REQUIRE(admit({1, 14, 32}));
  REQUIRE(admit({2, 14, 32}));
  const Plan p = until_eviction();
  SECTION("while it leaves, and comes again") {
    REQUIRE(s.finish(RequestId(2)));
    REQUIRE(s.evicted(p.evictions[0]));
    CHECK(pool.free_blocks() == 4);
    CHECK(has(step().work, 1));
    REQUIRE(admit({2, 4, 32}));
    CHECK(s.view(RequestId(2))->ready);
  }
  SECTION("parked") {
    REQUIRE(s.evicted(p.evictions[0]));
    REQUIRE(s.finish(RequestId(2)));
    CHECK(pool.free_blocks() == 4);
  }
  SECTION("returning") {
    REQUIRE(s.evicted(p.evictions[0]));
    REQUIRE(s.finish(RequestId(1)));
    REQUIRE(s.plan(limits).returns.size() == 1);
    REQUIRE(s.finish(RequestId(2)));
    CHECK(pool.free_blocks() == 8);
  }
}

TEST_CASE_METHOD(Fixture,
                 "parking: an eviction that is told of after its sequence was parked again frees only its own") {
  REQUIRE(admit({1, 14, 32}));
  REQUIRE(admit({2, 14, 32}));
  const Plan first = until_eviction();
  REQUIRE(s.finish(RequestId(2)));
  REQUIRE(s.evicted(first.evictions[0]));
  CHECK(has(step().work, 1));
  REQUIRE(admit({2, 9, 32}));
  const Plan second = until_eviction();
  REQUIRE(second.evictions[0].id == RequestId(2));
  CHECK_FALSE(s.evicted(first.evictions[0]));  // its blocks were given back before
  CHECK(s.counters().parked == 1);
  CHECK(s.plan(limits).returns.empty());
}

TEST_CASE_METHOD(Fixture, "parking: blocks ahead of tokens, for who must know them") {
  REQUIRE(admit({1, 4, 32}));
  REQUIRE(s.reserve(RequestId(1), 12));
  CHECK(s.view(RequestId(1))->blocks.size() == 3);
  CHECK(s.reserve(RequestId(1), 33).error().code == Errc::invalid_argument);
  REQUIRE(admit({2, 20, 20 + 1}));
  CHECK(s.reserve(RequestId(1), 16).error().code == Errc::resource_exhausted);
  CHECK(s.view(RequestId(1))->blocks.size() == 3);
}

TEST_CASE_METHOD(Fixture, "parking: a run of steps goes as far as blocks do") {
  REQUIRE(admit({1, 4, 32}));
  REQUIRE(admit({2, 6, 32}));  // 1 + 2 blocks; 5 are free
  const Plan p = s.plan(limits);
  const std::uint32_t most = s.steps_ahead(p.work, 100);
  // 12 steps: positions up to 15 and 17, 4 + 5 blocks of 8; 11: up to 14 and 16.
  CHECK(most == 11);
  for (const Work& w : p.work) REQUIRE(s.commit_run(w, most, 1));
  CHECK(pool.free_blocks() == 0);
  CHECK(s.steps_ahead(p.work, 3) >= 1);
}

TEST_CASE("parking: who does not grow reserves all, as ever") {
  BlockAllocator pool(8);
  Scheduler s(pool, kBlock);
  REQUIRE(s.admit({.id = RequestId(1), .tokens = {1, 1}, .computed = 1, .max_total = 32}));
  CHECK(pool.free_blocks() == 0);
}

namespace {

/// Growing sequences of random sizes and priorities on a pool that cannot hold them, with copies that take their time.
class Storm {
 public:
  explicit Storm(std::uint32_t seed) : rng_(seed), blocks_(pick(4, 40)), pool_(blocks_), s_(pool_, kBlock) {
    limits_ = {.max_batch_tokens = pick(2, 48), .max_seqs = pick(2, 12), .prefill_chunk = pick(1, 24)};
  }

  void run(int sequences) {
    int left = sequences;
    for (int i = 0; left > 0 || !live_.empty(); ++i) {
      REQUIRE(i < 200000);  // everybody gets to his end
      if (left > 0 && pick(0, 2) == 0 && arrive()) --left;
      if (pick(0, 20) == 0 && !live_.empty()) cancel();
      plan();
      if (pick(0, 1) == 0) copies();
      check();
    }
    while (!leaving_.empty()) copies();
    REQUIRE(pool_.free_blocks() == blocks_);
    REQUIRE(most_preemptions() <= Parking::kMostPreemptions);
  }
  [[nodiscard]] const std::vector<std::string>& log() const { return log_; }

 private:
  struct Seq {
    std::uint32_t end = 0, tokens = 0, parked = 0;
    std::tuple<std::int32_t, TimePoint> rank;
    bool here = true;
  };
  std::uint32_t pick(std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(rng_);
  }

  bool arrive() {
    const std::uint32_t whole = blocks_ * kBlock;
    SequenceSpec spec{.id = RequestId(++ids_)};
    const std::uint32_t prompt = pick(1, whole - 1);
    spec.tokens.assign(prompt, 1);
    spec.max_total = pick(prompt + 1, whole);
    spec.computed = pick(0, 1) == 0 ? 0 : prompt - 1;
    spec.priority = static_cast<std::int32_t>(pick(0, 2));
    spec.arrival = TimePoint(std::chrono::milliseconds(ids_));
    spec.grows = true;
    Seq q{.end = pick(prompt + 1, spec.max_total), .tokens = prompt, .rank = {spec.priority, spec.arrival}};
    const RequestId id = spec.id;
    if (!s_.admit(std::move(spec))) return false;
    live_.emplace(id, q);
    return true;
  }

  void cancel() {
    const auto it = std::next(live_.begin(), pick(0, static_cast<std::uint32_t>(live_.size()) - 1));
    REQUIRE(s_.finish(it->first));
    live_.erase(it);
  }

  void plan() {
    const Plan p = s_.plan(limits_);
    for (const Eviction& e : p.evictions) {
      Seq& victim = live_.at(e.id);
      REQUIRE(victim.here);
      victim.here = false;
      ++victim.parked;
      for (const BlockHandle& b : e.blocks) REQUIRE(pool_.valid(b));
      leaving_.push_back(e);
      log_.push_back("out " + std::to_string(e.id.value()));
      // Someone more urgent waits for them.
      REQUIRE(s_.counters().starved > 0);
    }
    for (const Return& r : p.returns) {
      coming_.push_back(r.id);
      log_.push_back("in " + std::to_string(r.id.value()));
    }
    for (const Work& w : p.work) {
      REQUIRE(live_.at(w.id).here);
      REQUIRE(s_.view(w.id)->blocks.size() * kBlock >= w.first + w.count);
      REQUIRE(s_.commit(w));
      if (!w.wants_logits) continue;
      Seq& q = live_.at(w.id);
      if (++q.tokens >= q.end) {
        REQUIRE(s_.finish(w.id));
        live_.erase(w.id);
      } else {
        REQUIRE(s_.append(w.id, 1));
      }
    }
  }

  void copies() {
    if (!leaving_.empty()) {
      REQUIRE(s_.evicted(leaving_.front()));
      leaving_.erase(leaving_.begin());
    }
    for (const RequestId id : std::exchange(coming_, {})) {
      const auto it = live_.find(id);
      if (it == live_.end()) continue;
      const Result<> back = pick(0, 1) == 0 ? s_.mark_ready(id) : s_.recompute(id);
      REQUIRE(back);
      it->second.here = true;
    }
  }

  void check() {
    std::set<BlockHandle> held;
    for (const auto& [id, q] : live_) {
      most_ = std::max(most_, q.parked);
      const auto view = s_.view(id);
      for (const BlockHandle& b : view->blocks) REQUIRE(held.insert(b).second);
    }
    for (const Eviction& e : leaving_)
      for (const BlockHandle& b : e.blocks) REQUIRE(held.insert(b).second);
    REQUIRE(pool_.free_blocks() + held.size() == blocks_);
  }
  [[nodiscard]] std::uint32_t most_preemptions() const { return most_; }

  std::mt19937 rng_;
  std::uint32_t blocks_;
  BlockAllocator pool_;
  Scheduler s_;
  PlanLimits limits_;
  std::map<RequestId, Seq> live_;
  std::vector<Eviction> leaving_;
  std::vector<RequestId> coming_;
  std::vector<std::string> log_;
  std::uint64_t ids_ = 0;
  std::uint32_t most_ = 0;
};

}  // namespace

TEST_CASE(
    "parking: at random everybody gets to his end, no block is lost or in two hands, and nobody is parked often") {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Storm(seed).run(40);
  }
}

TEST_CASE("parking: the same events give the same plans") {
  Storm a(7);
  Storm b(7);
  a.run(60);
  b.run(60);
  REQUIRE_FALSE(a.log().empty());
  CHECK(a.log() == b.log());
}
