#include "node/export/link_queue.h"

#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <string>

using namespace sluice::node;

namespace {

LinkQueue<int> queue(std::size_t total, std::size_t window) {
  return {total, [window](const std::string&) { return window; }};
}

}  // namespace

TEST_CASE("links take turns, and requests on a link do") {
  auto q = queue(1000, 1000);
  for (int i = 0; i < 3; ++i) REQUIRE(q.push("a", 1, 10 + i, 1));
  REQUIRE(q.push("a", 2, 20, 1));
  REQUIRE(q.push("b", 3, 30, 1));
  std::vector<int> order;
  for (int i = 0; i < 5; ++i) order.push_back(*q.pop());
  CHECK(order == std::vector<int>{10, 30, 20, 11, 12});
}

TEST_CASE("a link at a stand does not hold up another") {
  auto q = queue(100, 40);
  for (int i = 0; i < 4; ++i) REQUIRE(q.push("stuck", 1, i, 30));
  REQUIRE(q.push("free", 2, 50, 30));
  REQUIRE(q.push("free", 2, 51, 30));
  CHECK(*q.pop() == 0);
  CHECK(*q.pop() == 50);
  q.give_back("free", 30);
  CHECK(*q.pop() == 51);
  q.give_back("stuck", 30);
  CHECK(*q.pop() == 1);
}

TEST_CASE("what is in flight is bounded in total, and one item always goes") {
  auto q = queue(100, 100);
  REQUIRE(q.push("a", 1, 1, 500));  // larger than every bound
  REQUIRE(q.push("b", 2, 2, 10));
  CHECK(*q.pop() == 1);
  auto next = std::async(std::launch::async, [&] { return q.pop(); });
  q.give_back("a", 450);  // it became smaller: 50 of 100
  CHECK(*next.get() == 2);
}

TEST_CASE("a closed queue drops what waits") {
  LinkQueue<std::shared_ptr<int>> q(100, [](const std::string&) { return std::size_t{100}; });
  const auto item = std::make_shared<int>(1);
  REQUIRE(q.push("a", 1, item, 10));
  q.close();
  CHECK(item.use_count() == 1);
  q.give_back("a", 10);  // of an unknown link: nothing happens
  CHECK(q.remove("a", 1).empty());
}

TEST_CASE("what waits under a tag can be taken out, and a closed queue hands out nothing") {
  auto q = queue(100, 10);
  for (int i = 0; i < 3; ++i) REQUIRE(q.push("a", 1, i, 10));
  REQUIRE(q.push("a", 2, 9, 10));
  CHECK(q.remove("a", 1) == std::vector<int>{0, 1, 2});
  CHECK(q.remove("a", 1).empty());
  CHECK(q.remove("nowhere", 1).empty());
  CHECK(*q.pop() == 9);
  CHECK(q.remove("a", 2).empty());
  auto waiting = std::async(std::launch::async, [&] { return q.pop(); });
  q.close();
  CHECK_FALSE(waiting.get());
  CHECK_FALSE(q.push("a", 1, 1, 1));
}
