// Whose prompt is next: lanes, turns, bounds.
#include "coordinator/api/prompt_queue.h"

#include <catch2/catch.hpp>

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using Lane = PromptLane;

constexpr PromptQueueLimits kLimits{.short_bytes = 10, .total_bytes = 1000, .client_bytes = 300};

PromptJob job(std::string client, std::size_t bytes, bool refusable = true) {
  return {.client = std::move(client), .bytes = bytes, .refusable = refusable, .work = {}};
}

PromptQueue::Entry entry(std::uint64_t id, std::string client, std::size_t bytes) {
  return {.id = id, .job = job(std::move(client), bytes), .gone = nullptr, .since = {}};
}

std::vector<std::uint64_t> drain(PromptQueue& q, Lane lane) {
  std::vector<std::uint64_t> ids;
  while (auto e = q.pop_any(lane)) ids.push_back(e->id);
  return ids;
}

using Ids = std::vector<std::uint64_t>;

TEST_CASE("short jobs and long ones have lanes of their own") {
  PromptQueue q(kLimits);
  q.push(entry(1, "a", 11));
  q.push(entry(2, "a", 10));
  q.push(entry(3, "a", 0));
  CHECK(q.waiting(Lane::brief) == 2);
  CHECK(q.bytes(Lane::lengthy) == 11);
  CHECK(drain(q, Lane::brief) == Ids{2, 3});
  CHECK(drain(q, Lane::lengthy) == Ids{1});
  CHECK_FALSE(q.pop_any(Lane::brief));
  CHECK(q.bytes() == 0);
}

TEST_CASE("clients take turns: many of one's do not hold up another's") {
  const auto lane = GENERATE(Lane::brief, Lane::lengthy);
  const std::size_t bytes = lane == Lane::brief ? 2 : 20;
  PromptQueue q(kLimits);
  for (std::uint64_t i = 0; i < 10; ++i) q.push(entry(i, "crowd", bytes));
  q.push(entry(100, "one", bytes));
  q.push(entry(200, "two", bytes));
  q.push(entry(201, "two", bytes));
  CHECK(drain(q, lane) == Ids{0, 100, 200, 1, 201, 2, 3, 4, 5, 6, 7, 8, 9});
  // Who comes back after a pause waits a turn, not the crowd.
  for (std::uint64_t i = 0; i < 5; ++i) q.push(entry(i, "crowd", bytes));
  CHECK(q.pop_any(lane)->id == 0);
  q.push(entry(100, "one", bytes));
  CHECK(drain(q, lane) == Ids{1, 100, 2, 3, 4});
}

TEST_CASE("what waits is bounded, for each client and in all") {
  PromptQueue q(kLimits);
  for (std::uint64_t i = 0; i < 3; ++i) {
    CHECK(q.full(job("a", 100)) == PromptQueue::Full::no);
    q.push(entry(i, "a", 100));
  }
  CHECK(q.full(job("a", 1)) == PromptQueue::Full::client);
  CHECK(q.full(job("a", 0)) == PromptQueue::Full::no);
  CHECK(q.full(job("b", 300)) == PromptQueue::Full::no);
  CHECK(q.full(job("b", 301)) == PromptQueue::Full::client);
  q.push(entry(10, "b", 300));
  q.push(entry(11, "c", 300));
  CHECK(q.full(job("d", 100)) == PromptQueue::Full::no);
  CHECK(q.full(job("d", 101)) == PromptQueue::Full::all);
  // An answer that is there already is written whatever waits.
  CHECK(q.full(job("a", 5000, false)) == PromptQueue::Full::no);
  CHECK(q.pop_any(Lane::lengthy)->id == 0);
  CHECK(q.full(job("a", 100)) == PromptQueue::Full::no);
  CHECK(q.full(job("d", 200)) == PromptQueue::Full::no);
}

TEST_CASE("a short job that was refused is paid for where it cost what no short text does") {
  using namespace std::chrono_literals;
  PromptQueue q({.short_bytes = 10, .refused_cost = 4, .longest_rest = 2s, .brief_free = 20ms});
  const TimePoint t{1000s};
  q.refused("honest", Lane::brief, 20ms, t);
  q.refused("hostile", Lane::brief, 21ms, t);
  q.push(entry(1, "hostile", 5));
  q.push(entry(2, "honest", 5));
  q.push(entry(3, "hostile", 20));
  CHECK(q.pop(Lane::brief, t)->id == 2);
  CHECK_FALSE(q.pop(Lane::brief, t + 83ms));
  CHECK(q.rested(Lane::brief) == t + 84ms);
  CHECK(q.pop(Lane::lengthy, t)->id == 3);
  CHECK(q.pop(Lane::brief, t + 84ms)->id == 1);
}

TEST_CASE("a long prompt that was refused is paid for: its client's next long one rests") {
  using namespace std::chrono_literals;
  PromptQueue q({.short_bytes = 10, .refused_cost = 4, .longest_rest = 2s});
  const TimePoint t{1000s};
  q.push(entry(1, "hostile", 20));
  q.push(entry(2, "hostile", 5));
  q.push(entry(3, "other", 20));
  q.refused("hostile", Lane::lengthy, 100ms, t);
  CHECK(q.pop(Lane::lengthy, t)->id == 3);
  CHECK_FALSE(q.pop(Lane::lengthy, t));
  CHECK(q.rested(Lane::lengthy) == t + 400ms);
  CHECK(q.pop(Lane::brief, t)->id == 2);
  CHECK_FALSE(q.rested(Lane::brief));
  CHECK_FALSE(q.pop(Lane::lengthy, t + 399ms));
  CHECK(q.pop(Lane::lengthy, t + 400ms)->id == 1);
  CHECK_FALSE(q.rested(Lane::lengthy));

  // However long it took, the rest ends; a shorter one after it does not shorten it.
  q.push(entry(4, "hostile", 20));
  q.refused("hostile", Lane::lengthy, 60s, t);
  q.refused("hostile", Lane::lengthy, 1ms, t);
  CHECK_FALSE(q.pop(Lane::lengthy, t + 1999ms));
  CHECK(q.pop(Lane::lengthy, t + 2s)->id == 4);

  // An answer that is there already is written meanwhile, also behind a prompt that rests.
  q.push(entry(5, "hostile", 20));
  q.push({.id = 6, .job = job("hostile", 20, false), .gone = nullptr, .since = {}});
  CHECK(q.pop(Lane::lengthy, t)->id == 6);
  CHECK(q.bytes() == 20);
  CHECK(q.pop_any(Lane::lengthy)->id == 5);
}

}  // namespace
}  // namespace sluice::test
