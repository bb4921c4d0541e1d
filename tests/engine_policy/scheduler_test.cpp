#include "engine/policy/scheduler.h"

#include <catch2/catch.hpp>
#include <numeric>

using namespace sluice;
using namespace sluice::engine;

namespace {

std::vector<TokenId> tokens(std::uint32_t n) {
  std::vector<TokenId> t(n);
  std::iota(t.begin(), t.end(), 0);
  return t;
}

SequenceSpec generate(std::uint64_t id, std::uint32_t prompt, std::uint32_t max_total, std::uint32_t computed = 0) {
  return {.id = RequestId(id), .tokens = tokens(prompt), .computed = computed, .max_total = max_total};
}

SequenceSpec fill(std::uint64_t id, std::uint32_t prompt, std::uint32_t target) {
  return {.id = RequestId(id), .tokens = tokens(prompt), .max_total = target, .fill_to = target};
}

Work work(std::uint64_t id, std::uint32_t first, std::uint32_t count, bool logits) {
  return {RequestId(id), first, count, logits};
}

struct Fixture {
  BlockAllocator pool{64};
  Scheduler s{pool, 16};
  PlanLimits limits{.max_batch_tokens = 32, .max_seqs = 4, .prefill_chunk = 16};

  std::vector<Work> step() {
    auto plan = s.plan(limits).work;
    for (const Work& w : plan) REQUIRE(s.commit(w));
    return plan;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "prefill node: chunks up to the target, no logits, blocks held until finish") {
  REQUIRE(s.admit(fill(1, 41, 40)));
  CHECK(pool.free_blocks() == 61);
  CHECK(step() == std::vector{work(1, 0, 16, false)});
  CHECK(step() == std::vector{work(1, 16, 16, false)});
  CHECK(step() == std::vector{work(1, 32, 8, false)});
  CHECK(step().empty());
  CHECK(s.view(RequestId(1))->filled);
  CHECK(s.counters().filled == 1);
  CHECK(s.append(RequestId(1), 7).error().code == Errc::invalid_argument);
  REQUIRE(s.finish(RequestId(1)));
  CHECK(pool.free_blocks() == 64);
}

TEST_CASE_METHOD(Fixture, "decode node: nothing before the KV arrived, then one row per token") {
  auto spec = generate(1, 20, 23, 19);
  spec.ready = false;
  REQUIRE(s.admit(std::move(spec)));
  CHECK(pool.free_blocks() == 62);
  CHECK(step().empty());
  CHECK(s.counters().awaiting_kv == 1);
  REQUIRE(s.mark_ready(RequestId(1)));
  REQUIRE(s.mark_ready(RequestId(1)));
  CHECK(step() == std::vector{work(1, 19, 1, true)});
  CHECK(step().empty());  // nothing to do until the sampled token is appended
  for (std::uint32_t n = 20; n < 23; ++n) {
    REQUIRE(s.append(RequestId(1), 5));
    CHECK(step() == std::vector{work(1, n, 1, true)});
  }
  CHECK(s.append(RequestId(1), 5).error().code == Errc::resource_exhausted);
}

TEST_CASE_METHOD(Fixture, "replay: forced tokens run as one chunk, and only its last row is sampled") {
  auto spec = generate(1, 20 + 7, 40, 19);
  REQUIRE(s.admit(std::move(spec)));
  CHECK(step() == std::vector{work(1, 19, 8, true)});
}

TEST_CASE_METHOD(Fixture, "colocated: prefill chunks, then decode") {
  REQUIRE(s.admit(generate(1, 20, 40)));
  CHECK(step() == std::vector{work(1, 0, 16, false)});
  CHECK(step() == std::vector{work(1, 16, 4, true)});
  REQUIRE(s.append(RequestId(1), 9));
  CHECK(step() == std::vector{work(1, 20, 1, true)});
}

TEST_CASE_METHOD(Fixture, "decode rows go first, prefill shares what is left by priority and arrival") {
  auto late = generate(1, 100, 100);
  late.arrival = TimePoint(std::chrono::seconds(2));
  auto early = generate(2, 100, 100);
  early.arrival = TimePoint(std::chrono::seconds(1));
  auto urgent = generate(3, 6, 6);
  urgent.arrival = TimePoint(std::chrono::seconds(3));
  urgent.priority = -1;
  REQUIRE(s.admit(std::move(late)));
  REQUIRE(s.admit(std::move(early)));
  REQUIRE(s.admit(std::move(urgent)));
  REQUIRE(s.admit(generate(4, 10, 20, 9)));
  CHECK(step() == std::vector{work(4, 9, 1, true), work(3, 0, 6, true), work(2, 0, 16, false), work(1, 0, 9, false)});
}

TEST_CASE_METHOD(Fixture, "in order: the oldest prompt has the pass, others join while it holds one chunk in all") {
  limits.in_order = true;
  REQUIRE(s.admit(fill(1, 10, 10)));
  REQUIRE(s.admit(fill(2, 40, 40)));
  REQUIRE(s.admit(fill(3, 20, 20)));
  REQUIRE(s.admit(fill(4, 6, 6)));
  CHECK(step() == std::vector{work(1, 0, 10, false), work(4, 0, 6, false)});
  CHECK(step() == std::vector{work(2, 0, 32, false)});  // two whole chunks
  CHECK(step() == std::vector{work(2, 32, 8, false)});
  CHECK(step() == std::vector{work(3, 0, 20, false)});
  // A pass smaller than a chunk cuts it, but always at the same length.
  limits.max_batch_tokens = 12;
  REQUIRE(s.admit(fill(5, 30, 30)));
  CHECK(step() == std::vector{work(5, 0, 12, false)});
  CHECK(step() == std::vector{work(5, 12, 12, false)});
  CHECK(step() == std::vector{work(5, 24, 6, false)});
}

TEST_CASE_METHOD(Fixture, "in order: passes end where columns do, wherever a prompt's first row is") {
  limits.in_order = true;
  const auto from = [&](std::uint64_t id, std::uint32_t n, std::uint32_t computed) {
    SequenceSpec spec = fill(id, n, n);
    spec.computed = computed;
    return spec;
  };
  REQUIRE(s.admit(from(1, 100, 7)));
  CHECK(step() == std::vector{work(1, 7, 25, false)});  // to 32, not to 39
  CHECK(step() == std::vector{work(1, 32, 32, false)});
  CHECK(step() == std::vector{work(1, 64, 32, false)});
  REQUIRE(s.admit(from(2, 21, 15)));
  CHECK(step() == std::vector{work(1, 96, 4, false), work(2, 15, 6, false)});  // whole: it joins
  limits.max_batch_tokens = 12;
  REQUIRE(s.admit(from(3, 30, 10)));
  CHECK(step() == std::vector{work(3, 10, 2, false)});
  CHECK(step() == std::vector{work(3, 12, 12, false)});
  CHECK(step() == std::vector{work(3, 24, 6, false)});
}

TEST_CASE_METHOD(Fixture, "where prompts are bounded a pass holds so many of their rows, and few rows do not wait") {
  limits.most_prompt_rows = 16;
  REQUIRE(s.admit(generate(1, 40, 60)));
  REQUIRE(s.admit(generate(2, 40, 60)));
  REQUIRE(s.admit(generate(3, 10, 20, 9)));
  CHECK(step() == std::vector{work(3, 9, 1, true), work(1, 0, 16, false)});
  REQUIRE(s.admit(generate(4, 10 + 4, 30, 9)));  // a replay
  CHECK(step() == std::vector{work(4, 9, 5, true), work(1, 16, 11, false)});
  CHECK(step() == std::vector{work(1, 27, 13, true), work(2, 0, 3, false)});
}

TEST_CASE_METHOD(Fixture, "a sequence in flight is left out, and its rows come again when the pass is abandoned") {
  REQUIRE(s.admit(generate(1, 8, 20)));
  const auto first = s.plan(limits).work;
  CHECK(s.plan(limits).work.empty());
  REQUIRE(s.abandon(first[0]));
  CHECK(s.plan(limits).work == first);
  CHECK(s.commit(work(1, 0, 7, true)).error().code == Errc::stale);
  REQUIRE(s.commit(first[0]));
  CHECK(s.commit(first[0]).error().code == Errc::stale);
}

// vLLM and SGLang users: HTTP 200 with another prompt's answer, because an aborted request's blocks were
// handed to the next one while a pass still wrote into them.
TEST_CASE_METHOD(Fixture, "a cancel in mid-pass frees the blocks only when the pass is over") {
  REQUIRE(s.admit(generate(1, 8, 1024)));
  const auto plan = s.plan(limits).work;
  REQUIRE(s.cancel(RequestId(1)));
  CHECK(pool.free_blocks() == 0);
  CHECK(s.counters().ending == 1);
  CHECK_FALSE(s.view(RequestId(1)));
  CHECK(s.cancel(RequestId(1)).error().code == Errc::not_found);
  CHECK(s.append(RequestId(1), 1).error().code == Errc::not_found);
  CHECK(s.admit(generate(2, 1, 1)).error().code == Errc::resource_exhausted);
  CHECK(s.admit(generate(1, 1, 1)).error().code == Errc::already_exists);
  REQUIRE(s.commit(plan[0]));
  CHECK(pool.free_blocks() == 64);
  REQUIRE(s.admit(generate(1, 1, 1)));
}

TEST_CASE_METHOD(Fixture, "a block that a transfer retains outlives its request") {
  REQUIRE(s.admit(fill(1, 16, 16)));
  const BlockHandle h = s.view(RequestId(1))->blocks[0];
  REQUIRE(pool.retain(h));
  REQUIRE(s.finish(RequestId(1)));
  CHECK(pool.free_blocks() == 63);
  REQUIRE(pool.release(h));
  CHECK(pool.free_blocks() == 64);
}

TEST_CASE_METHOD(Fixture, "admit refuses numbers that contradict each other, and keeps nothing") {
  CHECK(s.admit(generate(1, 0, 4)).error().code == Errc::invalid_argument);
  CHECK(s.admit(generate(1, 8, 7)).error().code == Errc::invalid_argument);
  CHECK(s.admit(generate(1, 8, 9, 8)).error().code == Errc::invalid_argument);
  CHECK(s.admit(fill(1, 8, 9)).error().code == Errc::invalid_argument);
  CHECK(s.admit(generate(1, 8, 64 * 16 + 1)).error().code == Errc::invalid_argument);  // never fits: retry is useless
  CHECK(pool.free_blocks() == 64);
  CHECK(s.mark_ready(RequestId(1)).error().code == Errc::not_found);
  CHECK(s.finish(RequestId(1)).error().code == Errc::not_found);
}

TEST_CASE_METHOD(Fixture, "where a pass holds one row, decode and prefill take turns") {
  limits.max_seqs = 1;
  REQUIRE(s.admit(generate(1, 64, 64)));
  REQUIRE(s.admit(generate(2, 10, 100, 9)));
  int decoded = 0;
  for (int i = 0; i < 8; ++i) {
    const auto plan = step();
    REQUIRE(plan.size() == 1);
    if (plan[0].id != RequestId(2)) continue;
    ++decoded;
    REQUIRE(s.append(RequestId(2), 1));
  }
  CHECK(decoded == 4);
}

TEST_CASE_METHOD(Fixture, "decode rows that fill every seat leave one to prefill") {
  for (std::uint64_t id = 1; id <= 8; ++id) REQUIRE(s.admit(generate(id, 10, 60, 9)));
  REQUIRE(s.admit(generate(9, 64, 64)));
  std::vector<int> served(10);
  for (int i = 0; i < 16; ++i)
    for (const Work& w : step()) {
      ++served[w.id.value()];
      if (w.wants_logits && w.id != RequestId(9)) REQUIRE(s.append(w.id, 1));
    }
  CHECK(s.view(RequestId(9))->computed == 64);
  for (std::uint64_t id = 1; id <= 8; ++id) CHECK(served[id] >= 6);  // 16 plans x 3 or 4 seats over 8 sequences
}

TEST_CASE_METHOD(Fixture, "a stream of urgent prompts does not starve a patient one") {
  auto patient = generate(1, 40, 40);
  patient.priority = 10;
  REQUIRE(s.admit(std::move(patient)));
  std::uint64_t next = 2;
  int plans = 0;
  while (s.view(RequestId(1))->computed < 40 && plans < 1000) {
    while (s.admit(generate(next, 32, 32))) ++next;
    for (const Work& w : step())
      if (w.wants_logits && w.id != RequestId(1)) REQUIRE(s.finish(w.id));
    ++plans;
  }
  CHECK(s.view(RequestId(1))->computed == 40);
  CHECK(plans <= 3 * static_cast<int>(Scheduler::kOverduePlans + 64));
}

TEST_CASE_METHOD(Fixture, "a long queue of equals is served in order of arrival, however long it waits") {
  limits.in_order = GENERATE(false, true);
  limits.max_batch_tokens = limits.prefill_chunk = 16;
  constexpr std::uint64_t kPrompts = 12;
  for (std::uint64_t id = 1; id <= kPrompts; ++id) REQUIRE(s.admit(fill(id, 80, 80)));  // 5 plans each, 60 in all
  std::vector<RequestId> order;
  for (std::uint64_t i = 0; i < 5 * kPrompts; ++i)
    for (const Work& w : step())
      if (w.first + w.count == 80) order.push_back(w.id);
  REQUIRE(order.size() == kPrompts);
  CHECK(std::ranges::is_sorted(order));
}

TEST_CASE_METHOD(Fixture, "no budget, no work") {
  REQUIRE(s.admit(generate(1, 8, 8)));
  CHECK(s.plan({.max_batch_tokens = 0}).work.empty());
  CHECK(s.plan({.max_seqs = 0}).work.empty());
  limits.prefill_chunk = 0;
  CHECK(step() == std::vector{work(1, 0, 1, false)});
}

TEST_CASE_METHOD(Fixture, "a run of decode steps leaves what its steps one by one would have left") {
  Scheduler other(pool, 16);
  for (Scheduler* x : {&s, &other}) REQUIRE(x->admit(generate(1, 20, 26, 19)));
  const auto plan = s.plan(limits).work;
  REQUIRE(plan == std::vector{work(1, 19, 1, true)});
  REQUIRE(s.commit_run(plan[0], 4, 7));
  for (int i = 0; i < 4; ++i) {
    REQUIRE(other.commit(other.plan(limits).work.at(0)));
    if (i < 3) REQUIRE(other.append(RequestId(1), 7));
  }
  for (Scheduler* x : {&s, &other}) {
    CHECK(x->view(RequestId(1))->computed == 23);
    CHECK(x->view(RequestId(1))->tokens.size() == 23);
    REQUIRE(x->append(RequestId(1), 7));
    CHECK(x->plan(limits).work == std::vector{work(1, 23, 1, true)});
  }
  const Work last = work(1, 23, 1, true);
  CHECK(s.commit_run(last, 0, 7).error().code == Errc::invalid_argument);
  CHECK(s.commit_run(last, 4, 7).error().code == Errc::resource_exhausted);
  REQUIRE(s.commit_run(last, 3, 7));
  CHECK(s.commit_run(last, 1, 7).error().code == Errc::stale);
}

TEST_CASE_METHOD(Fixture, "rows that only fill are no run of decode steps") {
  REQUIRE(s.admit(fill(1, 41, 40)));
  CHECK(s.commit_run(s.plan(limits).work.at(0), 2, 0).error().code == Errc::invalid_argument);
}
