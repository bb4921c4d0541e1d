#include "kvtransfer/flow/fair_queue.h"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <string>

using namespace sluice::kv;

namespace {

std::string all_of(FairQueue<std::string>& q) {
  std::string out;
  while (!q.empty()) out += q.pop() + " ";
  return out;
}

}  // namespace

TEST_CASE("a long request's queue does not hold up a short one's") {
  // A 100-frame prompt used to leave whole before a second request's first frame.
  FairQueue<std::string> q;
  for (const char* f : {"a1", "a2", "a3", "a4"}) q.push(1, f);
  q.push(2, "b1");
  q.push(3, "c1");
  q.push(3, "c2");
  CHECK(all_of(q) == "a1 b1 c1 a2 c2 a3 a4 ");
}

TEST_CASE("who comes late waits one round, and coming back empty-handed gains nothing") {
  FairQueue<std::string> q;
  for (const char* f : {"a1", "a2", "a3"}) q.push(1, f);
  q.push(2, "b1");
  CHECK(q.pop() == "a1");
  CHECK(q.pop() == "b1");
  q.push(2, "b2");  // its turn was over, so it queues behind the others
  q.push(3, "c1");
  CHECK(all_of(q) == "a2 b2 c1 a3 ");
}

TEST_CASE("the front stays while it waits for credit") {
  FairQueue<std::string> q;
  q.push(9, "large");
  for (std::uint64_t tag = 0; tag < 5; ++tag) {
    q.push(tag, "small");
    CHECK(q.front() == "large");
  }
  CHECK(q.pop() == "large");
}

TEST_CASE("removing a tag takes its items in order and leaves the turns of the others") {
  FairQueue<std::unique_ptr<int>> q;
  for (int i = 0; i < 3; ++i) {
    q.push(1, std::make_unique<int>(10 + i));
    q.push(2, std::make_unique<int>(20 + i));
  }
  const auto gone = q.remove(1);
  REQUIRE(gone.size() == 3);
  CHECK(*gone[0] == 10);
  CHECK(*gone[2] == 12);
  CHECK(q.remove(1).empty());
  CHECK(*q.pop() == 20);
  const auto rest = q.drain();
  REQUIRE(rest.size() == 2);
  CHECK(*rest[1] == 22);
  CHECK(q.empty());
}

TEST_CASE("whatever happens, no tag is served twice while another waits") {
  FairQueue<std::pair<std::uint64_t, int>> q;
  std::mt19937 rng(7);
  std::map<std::uint64_t, int> pushed, popped, waiting;
  std::map<std::uint64_t, int> passed;  // pops of others since this tag began to wait
  for (int i = 0; i < 20000; ++i) {
    if (rng() % 2) {
      const std::uint64_t tag = rng() % 10;
      q.push(tag, {tag, pushed[tag]++});
      if (waiting[tag]++ == 0) passed[tag] = 0;
    } else if (!q.empty()) {
      const auto [tag, n] = q.pop();
      REQUIRE(n == popped[tag]++);
      --waiting[tag];
      for (auto& [other, w] : waiting)
        if (other != tag && w > 0) REQUIRE(++passed[other] <= 9);
      passed[tag] = 0;
    }
  }
}
