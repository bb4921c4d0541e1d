#include "engine/kv_pool.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::engine;

TEST_CASE("a pool is zeroed and its blocks do not overlap") {
  const KvPoolShape shape{
      .layers = 2, .kv_heads = 3, .head_dim = 4, .block_size = 5, .num_blocks = 6, .dtype = DType::bf16};
  auto pool = KvPool::create(shape);
  REQUIRE(pool);
  CHECK(shape.row_bytes() == 24);
  CHECK(shape.block_bytes() == 120);
  std::uint8_t mark = 0;
  for (std::uint32_t layer = 0; layer < 2; ++layer)
    for (const bool value : {false, true})
      for (std::uint32_t b = 0; b < 6; ++b) {
        std::byte* p = (*pool)->block(layer, value, BlockId(b));
        CHECK(std::all_of(p, p + 120, [](std::byte x) { return x == std::byte{0}; }));
        std::fill_n(p, 120, std::byte{++mark});
      }
  mark = 0;
  for (std::uint32_t layer = 0; layer < 2; ++layer)
    for (const bool value : {false, true})
      for (std::uint32_t b = 0; b < 6; ++b) {
        const std::byte* p = (*pool)->block(layer, value, BlockId(b));
        ++mark;
        CHECK(std::all_of(p, p + 120, [mark](std::byte x) { return x == std::byte{mark}; }));
      }
  CHECK((*pool)->values(1) == (*pool)->block(1, true, BlockId(0)));
}

TEST_CASE("impossible pools are refused") {
  const auto code = [](const KvPoolShape& s) {
    const auto pool = KvPool::create(s);
    REQUIRE_FALSE(pool);
    return pool.error().code;
  };
  CHECK(code({.layers = 1, .kv_heads = 1, .head_dim = 64, .num_blocks = 0}) == Errc::invalid_argument);
  CHECK(code({.layers = 1, .kv_heads = 1, .head_dim = 64, .num_blocks = 4, .dtype = DType::f16}) == Errc::unsupported);
  const std::uint32_t big = UINT32_MAX;
  CHECK(code({.layers = big, .kv_heads = big, .head_dim = big, .num_blocks = big}) == Errc::invalid_argument);
  CHECK(code({.layers = 1024, .kv_heads = 1024, .head_dim = 512, .num_blocks = 1U << 20}) == Errc::resource_exhausted);
}
