#include "engine/cpu/thread_pool.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <vector>

using sluice::engine::cpu::ThreadPool;

TEST_CASE("a pool visits every index once, whatever the grain") {
  for (std::uint32_t threads : {1U, 2U, 3U, 5U}) {
    ThreadPool pool(threads);
    REQUIRE(pool.size() == threads);
    for (std::size_t count : {0, 1, 2, 7, 100, 1000})
      for (std::size_t grain : {0, 1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> seen(count);
        std::atomic<std::uint32_t> highest{0};
        pool.parallel_for(count, grain, [&](std::size_t b, std::size_t e, std::uint32_t worker) {
          if (worker > highest) highest = worker;
          for (std::size_t i = b; i < e; ++i) ++seen[i];
        });
        REQUIRE(highest < threads);
        for (const auto& s : seen) REQUIRE(s == 1);
      }
  }
}

TEST_CASE("a pool serves thousands of short jobs and jobs after a pause") {
  ThreadPool pool(4);
  std::atomic<std::uint64_t> sum{0};
  const auto job = [&] { pool.parallel_for(8, 1, [&](std::size_t b, std::size_t, std::uint32_t) { sum += b; }); };
  for (int i = 0; i < 5000; ++i) job();
  REQUIRE(sum == 5000 * 28);
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // long enough for the workers to park
    job();
  }
  REQUIRE(sum == 5005 * 28);
}

TEST_CASE("a pool made and dropped at once stops its workers") {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(3);
    REQUIRE(pool.size() == 3);
  }
}
