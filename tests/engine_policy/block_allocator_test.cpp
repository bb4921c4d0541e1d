#include "engine/policy/block_allocator.h"

#include <catch2/catch.hpp>
#include <set>

using namespace sluice;
using namespace sluice::engine;

TEST_CASE("blocks are given out all or none, and never twice") {
  BlockAllocator pool(8);
  const auto a = pool.allocate(5).value();
  CHECK(pool.free_blocks() == 3);
  const auto refused = pool.allocate(4);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::resource_exhausted);
  CHECK(pool.free_blocks() == 3);
  const auto b = pool.allocate(3).value();
  std::set<BlockId> ids;
  for (const auto& h : a) ids.insert(h.id);
  for (const auto& h : b) ids.insert(h.id);
  CHECK(ids.size() == 8);
}

TEST_CASE("a freed block outdates its handle: second free and late use are refused") {
  BlockAllocator pool(1);
  const BlockHandle old = pool.allocate(1).value()[0];
  REQUIRE(pool.release(old));
  CHECK(pool.release(old).error().code == Errc::stale);
  CHECK(pool.free_blocks() == 1);

  const BlockHandle now = pool.allocate(1).value()[0];
  CHECK(now.id == old.id);
  CHECK(now.generation != old.generation);
  CHECK_FALSE(pool.valid(old));
  CHECK(pool.valid(now));
  CHECK(pool.retain(old).error().code == Errc::stale);
  CHECK(pool.release(old).error().code == Errc::stale);
  CHECK(pool.references(now) == 1);
}

TEST_CASE("a retained block is freed by its last owner") {
  BlockAllocator pool(2);
  const BlockHandle h = pool.allocate(1).value()[0];
  REQUIRE(pool.retain(h));
  REQUIRE(pool.release(h));
  CHECK(pool.valid(h));
  CHECK(pool.free_blocks() == 1);
  REQUIRE(pool.release(h));
  CHECK(pool.free_blocks() == 2);
}

TEST_CASE("a handle the pool never gave out is refused") {
  BlockAllocator pool(2);
  CHECK(pool.release({BlockId(2), 1}).error().code == Errc::invalid_argument);
  CHECK(pool.release({BlockId(0), 1}).error().code == Errc::stale);
  CHECK(pool.release({}).error().code == Errc::stale);
  CHECK_FALSE(pool.valid({}));
}

TEST_CASE("nothing can be had from an empty pool, and nothing is always to be had") {
  BlockAllocator pool(0);
  CHECK(pool.allocate(0).value().empty());
  CHECK_FALSE(pool.allocate(1));
}
