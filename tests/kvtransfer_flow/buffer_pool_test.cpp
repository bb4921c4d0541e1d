#include "kvtransfer/flow/buffer_pool.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

using namespace sluice::kv;

namespace {

constexpr std::size_t kMiB = 1U << 20;

}  // namespace

TEST_CASE("size classes hold every size and waste at most a quarter") {
  for (std::size_t n = 1; n < 200 * kMiB; n += 1 + n / 3) {
    const std::size_t c = BufferPool::class_bytes(n);
    CAPTURE(n, c);
    CHECK(c >= n);
    CHECK(c - n <= n / 4);
    CHECK(BufferPool::class_bytes(c) == c);
  }
  CHECK(BufferPool::class_bytes(16 * kMiB) == 16 * kMiB);
}

TEST_CASE("a buffer given back is the next one taken, also when the size differs within its class") {
  BufferPool pool(8 * kMiB);
  Buffer a = pool.take(kMiB), b = pool.take(kMiB);
  std::byte* const warm = b.data();
  a = {};
  b = {};
  CHECK(pool.figures().idle_bytes == 2 * kMiB);
  const Buffer again = pool.take(kMiB - 100);
  CHECK(again.data() == warm);
  CHECK(again.size() == kMiB - 100);
  CHECK(pool.figures().mappings == 2);
}

TEST_CASE("small payloads are plain memory and nothing is asked for an empty one") {
  BufferPool pool(kMiB);
  Buffer b = pool.take(BufferPool::kSmallest - 1);
  REQUIRE(b.size() == BufferPool::kSmallest - 1);
  std::memset(b.data(), 1, b.size());
  CHECK(pool.take(0).empty());
  CHECK(pool.figures().mapped_bytes == 0);
}

TEST_CASE("shrinking changes what is used, not where it goes back") {
  BufferPool pool(8 * kMiB);
  {
    Buffer b = pool.take(2 * kMiB);
    b.shrink(100);
    b.shrink(200);
    CHECK(b.bytes().size() == 100);
  }
  CHECK(pool.figures().idle_bytes == 2 * kMiB);
}

TEST_CASE("idle memory never takes the pool over its limit; what is used may, and is not kept then") {
  BufferPool pool(4 * kMiB);
  std::vector<Buffer> held;
  for (int i = 0; i < 4; ++i) held.push_back(pool.take(kMiB));
  held.clear();
  CHECK(pool.figures().mapped_bytes == 4 * kMiB);
  Buffer large = pool.take(3 * kMiB);  // three idle ones make room
  CHECK(pool.figures().mapped_bytes == 4 * kMiB);
  CHECK(pool.figures().idle_bytes == kMiB);
  Buffer larger = pool.take(3 * kMiB);
  CHECK(pool.figures().mapped_bytes == 6 * kMiB);
  CHECK(pool.figures().idle_bytes == 0);
  larger = {};
  CHECK(pool.figures().mapped_bytes == 3 * kMiB);
  large = {};
  CHECK(pool.figures().idle_bytes == 3 * kMiB);
  pool.set_limit(kMiB);
  CHECK(pool.figures().mapped_bytes == 0);
}

TEST_CASE("release_unused frees what nobody needed since the last call, and only that") {
  BufferPool pool(16 * kMiB);
  {
    std::vector<Buffer> burst;
    for (int i = 0; i < 8; ++i) burst.push_back(pool.take(kMiB));
  }
  pool.release_unused();  // all eight were needed
  CHECK(pool.figures().idle_bytes == 8 * kMiB);
  {
    const Buffer a = pool.take(kMiB), b = pool.take(kMiB);
  }
  pool.release_unused();
  CHECK(pool.figures().idle_bytes == 2 * kMiB);
  pool.release_unused();
  CHECK(pool.figures().mapped_bytes == 0);
}

TEST_CASE("buffers outlive their pool and may be given back on any thread") {
  Buffer survivor;
  {
    BufferPool pool(64 * kMiB);
    survivor = pool.take(2 * kMiB);
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t)
      threads.emplace_back([&pool, t] {
        std::mt19937 rng(t);
        std::vector<Buffer> held(8);
        for (int i = 0; i < 2000; ++i) {
          Buffer& b = held[rng() % held.size()];
          b = pool.take(1 + rng() % (256U << 10));
          b.bytes().back() = std::byte{1};
          b.bytes().front() = std::byte{2};
        }
      });
    for (auto& t : threads) t.join();
    const auto f = pool.figures();
    CHECK(f.mapped_bytes == f.idle_bytes + 2 * kMiB);
    CHECK(f.mapped_bytes <= 64 * kMiB);
  }
  std::memset(survivor.data(), 1, survivor.size());
}
