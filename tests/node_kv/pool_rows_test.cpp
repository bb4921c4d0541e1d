#include "node/kv/pool_rows.h"

#include <catch2/catch.hpp>

#include "node/kv/pool_layout.h"

using namespace sluice;
using namespace sluice::node;

TEST_CASE("rows of a segment are those of its blocks, wherever they lie") {
  const engine::KvPoolShape shape{
      .layers = 2, .kv_heads = 1, .head_dim = 4, .block_size = 4, .num_blocks = 8, .dtype = engine::DType::bf16};
  const auto pool = *engine::KvPool::create(shape);
  const std::vector<engine::BlockHandle> blocks{{BlockId(6), 1}, {BlockId(2), 1}, {BlockId(5), 1}};
  PoolRows<std::byte> rows(*pool, blocks);
  for (const kv::KvKind kind : {kv::KvKind::key, kv::KvKind::value}) {
    const kv::SegmentShape s{
        .tokens = 7, .kv_heads = 1, .head_dim = 4, .kind = kind, .layer = 1, .first_token = 3};  // positions 3 to 9
    const auto r = rows.of(s);
    REQUIRE(r.pages.size() == 3);
    for (std::uint32_t i = 0; i < s.tokens; ++i) {
      const std::uint32_t at = s.first_token + i;
      const std::byte* want =
          pool->block(1, kind == kv::KvKind::value, blocks[at / 4].id) + std::size_t{at % 4} * shape.row_bytes();
      CHECK(r.row(i) == want);
    }
  }
}

TEST_CASE("a pool's layout is the one that tickets name") {
  engine::KvPoolShape shape{.layers = 2, .kv_heads = 3, .head_dim = 4, .dtype = engine::DType::f32};
  CHECK(layout_of(shape) == kv::KvLayout{2, 3, 4, kv::KvDType::f32});
  shape.dtype = engine::DType::bf16;
  CHECK(layout_of(shape) == kv::KvLayout{2, 3, 4, kv::KvDType::bf16});
}
