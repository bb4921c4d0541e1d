#include "node/ingest/bounded_queue.h"

#include <catch2/catch.hpp>
#include <future>

using namespace sluice::node;

TEST_CASE("items come out in order, and a producer waits for room") {
  BoundedQueue<int> q(10);
  REQUIRE(q.push(1, 6));
  REQUIRE(q.push(2, 4));
  CHECK(q.bytes() == 10);
  auto third = std::async(std::launch::async, [&] { return q.push(3, 50); });
  CHECK(*q.pop() == 1);
  CHECK(*q.pop() == 2);
  CHECK(third.get());  // larger than the bound: passes once the queue is empty
  CHECK(*q.pop() == 3);
}

TEST_CASE("a closed queue takes nothing in, and what was queued can still be popped") {
  BoundedQueue<int> q(10);
  REQUIRE(q.push(1, 1));
  q.close();
  CHECK_FALSE(q.push(2, 1));
  CHECK(*q.pop() == 1);
  CHECK_FALSE(q.pop());
}
