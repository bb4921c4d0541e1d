// Sequences that take blocks as their tokens come: who gets them, who is parked, who returns.
#include "engine/policy/parking.h"

#include <algorithm>
#include <catch2/catch.hpp>

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
  CHECK(s.steps_ahead(p.work, UINT32_MAX) == 11);
  for (const Work& w : p.work) REQUIRE(s.commit_run(w, most, 1));
  CHECK(pool.free_blocks() == 0);
  CHECK(s.steps_ahead(p.work, 3) >= 1);
  CHECK(s.steps_ahead({}, UINT32_MAX) == UINT32_MAX);
}

TEST_CASE("parking: who does not grow reserves all, as ever") {
  BlockAllocator pool(8);
  Scheduler s(pool, kBlock);
  REQUIRE(s.admit({.id = RequestId(1), .tokens = {1, 1}, .computed = 1, .max_total = 32}));
  CHECK(pool.free_blocks() == 0);
}
