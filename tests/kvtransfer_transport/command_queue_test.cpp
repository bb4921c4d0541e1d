// What other threads ask of the progress thread.
#include "kvtransfer/transport/command_queue.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using namespace sluice;

TEST_CASE("commands run in order, and what they push runs in the next turn") {
  using Queue = kv::CommandQueue<std::vector<int>>;
  Queue queue;
  std::vector<int> owner;
  CHECK(queue.empty());
  CHECK_FALSE(queue.run(owner));

  queue.push([&queue](std::vector<int>& o) {
    o.push_back(1);
    queue.push([](std::vector<int>& later) { later.push_back(3); });
  });
  queue.push([](std::vector<int>& o) { o.push_back(2); });
  CHECK_FALSE(queue.empty());
  CHECK(queue.run(owner));
  CHECK(owner == std::vector{1, 2});
  CHECK_FALSE(queue.empty());
  CHECK(queue.run(owner));
  CHECK(owner == std::vector{1, 2, 3});
  CHECK(queue.empty());
}

TEST_CASE("commands of many threads all run, each thread's in its order") {
  constexpr int kThreads = 4, kEach = 1000;
  kv::CommandQueue<std::vector<std::vector<int>>> queue;
  std::vector<std::vector<int>> seen(kThreads);
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&queue, t] {
      for (int i = 0; i < kEach; ++i)
        queue.push([t, i](std::vector<std::vector<int>>& o) { o[static_cast<std::size_t>(t)].push_back(i); });
    });
  for (std::size_t done = 0; done < kThreads * kEach;) {
    queue.run(seen);
    done = 0;
    for (const auto& s : seen) done += s.size();
  }
  for (const auto& s : seen)
    for (int i = 0; i < kEach; ++i) REQUIRE(s[static_cast<std::size_t>(i)] == i);
}
