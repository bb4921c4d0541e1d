#include "decode_node/kv_image.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "node/kv/pool_layout.h"

using namespace sluice;
using namespace sluice::decode;

namespace {

struct Pool {
  explicit Pool(engine::DType dtype, std::uint32_t block_size = 16, std::uint32_t head_dim = 64)
      : pool(*engine::KvPool::create({2, 2, head_dim, block_size, 4096 / block_size, dtype})),
        all(pool->shape().num_blocks) {}

  /// Blocks for so many positions, out of order.
  std::vector<engine::BlockHandle> blocks(std::uint32_t tokens, std::uint32_t seed) {
    const std::uint32_t n = (tokens + pool->shape().block_size - 1) / pool->shape().block_size;
    auto out = *all.allocate(n);
    std::ranges::shuffle(out, std::mt19937(seed));
    return out;
  }
  /// What a model writes, and some of what it never does: NaN, infinities, zeros.
  void fill(std::span<const engine::BlockHandle> of, std::uint32_t seed) {
    std::mt19937 rng(seed);
    std::normal_distribution<float> values(0, 3);
    each(of, [&](std::byte* at, std::size_t bytes) {
      for (std::size_t i = 0; i < bytes; i += 2) {
        const float v = values(rng);
        std::uint32_t bits = 0;
        std::memcpy(&bits, &v, sizeof bits);
        auto half = static_cast<std::uint16_t>(rng() % 50 == 0 ? rng() : bits >> 16U);
        std::memcpy(at + i, &half, sizeof half);
      }
    });
  }
  std::vector<std::byte> bytes(std::span<const engine::BlockHandle> of, std::uint32_t tokens) {
    std::vector<std::byte> out;
    const std::size_t row = pool->shape().row_bytes();
    for (std::uint32_t layer = 0; layer < pool->shape().layers; ++layer)
      for (const bool value : {false, true})
        for (std::uint32_t t = 0; t < tokens; ++t) {
          const std::byte* r =
              pool->block(layer, value, of[t / pool->shape().block_size].id) + t % pool->shape().block_size * row;
          out.insert(out.end(), r, r + row);
        }
    return out;
  }
  template <class Fn>
  void each(std::span<const engine::BlockHandle> of, Fn&& fn) {
    for (std::uint32_t layer = 0; layer < pool->shape().layers; ++layer)
      for (const bool value : {false, true})
        for (const auto& b : of) fn(pool->block(layer, value, b.id), pool->shape().block_bytes());
  }

  std::unique_ptr<engine::KvPool> pool;
  engine::BlockAllocator all;
};

struct Copier {
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  std::shared_ptr<SwapMemory> memory = std::make_shared<SwapMemory>(std::uint64_t{64} << 20);
  kv::CodecScratch scratch;
};

}  // namespace

TEST_CASE("an image gives back the bits that were read, into other blocks") {
  const auto dtype = GENERATE(engine::DType::bf16, engine::DType::f32);
  const auto block_size = GENERATE(1U, 4U, 16U, 64U);
  const auto head_dim = GENERATE(2U, 16U, 64U, 96U);
  CAPTURE(static_cast<int>(dtype), block_size, head_dim);
  Pool p(dtype, block_size, head_dim);
  Copier c;
  const kv::Codec* codec = KvImage::codec_for(*c.codecs, p.pool->shape());
  REQUIRE(codec != nullptr);
  for (const std::uint32_t tokens : {1U, 15U, 64U, 1300U}) {
    const auto from = p.blocks(tokens, 1);
    p.fill(from, tokens);
    const auto before = p.bytes(from, tokens);
    auto image = KvImage::of(*codec, {*p.pool, from, tokens}, c.memory, c.scratch);
    REQUIRE(image);
    CHECK(image->tokens() == tokens);
    CHECK(c.memory->used() == image->bytes());
    const auto to = p.blocks(tokens, 2);
    p.fill(to, 99);
    REQUIRE(image->restore(*codec, {*p.pool, to, tokens}, c.scratch));
    CHECK((p.bytes(to, tokens) == before));
    for (const auto& of : {from, to})
      for (const auto& b : of) REQUIRE(p.all.release(b));
  }
  CHECK(c.memory->used() == 0);
}

TEST_CASE("an image is smaller than what it was made of") {
  Pool p(engine::DType::bf16);
  Copier c;
  const auto from = p.blocks(1024, 1);
  std::mt19937 rng(5);
  std::normal_distribution<float> values(0, 2);
  p.each(from, [&](std::byte* at, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += 2) {
      const float v = values(rng);
      std::memcpy(at + i, reinterpret_cast<const std::byte*>(&v) + 2, 2);
    }
  });
  const kv::Codec* codec = KvImage::codec_for(*c.codecs, p.pool->shape());
  const auto image = KvImage::of(*codec, {*p.pool, from, 1024}, c.memory, c.scratch);
  REQUIRE(image);
  CHECK(image->bytes() < 0.85 * static_cast<double>(1024 * node::layout_of(p.pool->shape()).token_bytes()));
}

TEST_CASE("an image whose bytes changed is refused before anything is written") {
  Pool p(engine::DType::bf16);
  Copier c;
  const kv::Codec* codec = KvImage::codec_for(*c.codecs, p.pool->shape());
  const auto blocks = p.blocks(100, 1);
  p.fill(blocks, 3);
  auto image = KvImage::of(*codec, {*p.pool, blocks, 100}, c.memory, c.scratch);
  REQUIRE(image);
  p.fill(blocks, 4);
  const auto before = p.bytes(blocks, 100);
  const auto refused = [&] {
    const auto r = image->restore(*codec, {*p.pool, blocks, 100}, c.scratch);
    return !r && r.error().code == Errc::data_corrupt;
  };
  auto& pieces = image->pieces();
  std::mt19937 rng(11);
  for (int round = 0; round < 200; ++round) {
    auto& piece = pieces[rng() % pieces.size()];
    auto& at = piece[rng() % piece.size()];
    const auto flip = static_cast<std::byte>(1U << rng() % 8);
    at ^= flip;
    CHECK(refused());
    at ^= flip;
  }
  pieces[0].push_back(std::byte{0});
  CHECK(refused());
  pieces[0].pop_back();
  const auto last = pieces.back();
  pieces.pop_back();
  CHECK(refused());
  pieces.push_back(last);
  CHECK((p.bytes(blocks, 100) == before));
  CHECK_FALSE(image->restore(*codec, {*p.pool, blocks, 99}, c.scratch));
  CHECK(image->restore(*codec, {*p.pool, blocks, 100}, c.scratch));
}

TEST_CASE("swap memory is bounded, and what an image took comes back with it") {
  Pool p(engine::DType::bf16);
  Copier c;
  const kv::Codec* codec = KvImage::codec_for(*c.codecs, p.pool->shape());
  const auto blocks = p.blocks(64, 1);
  p.fill(blocks, 3);
  const auto size = [&] { return KvImage::of(*codec, {*p.pool, blocks, 64}, c.memory, c.scratch)->bytes(); }();
  REQUIRE(c.memory->used() == 0);
  const auto small = std::make_shared<SwapMemory>(2 * size + size / 2);
  std::vector<KvImage> images;
  for (int i = 0; i < 2; ++i) images.push_back(KvImage::of(*codec, {*p.pool, blocks, 64}, small, c.scratch).value());
  CHECK(small->used() == 2 * size);
  const auto third = KvImage::of(*codec, {*p.pool, blocks, 64}, small, c.scratch);
  REQUIRE_FALSE(third);
  CHECK(third.error().code == Errc::resource_exhausted);
  CHECK(small->used() == 2 * size);
  images.pop_back();
  CHECK(small->used() == size);
  CHECK(KvImage::of(*codec, {*p.pool, blocks, 64}, small, c.scratch));
  const auto none = std::make_shared<SwapMemory>(0);
  CHECK_FALSE(KvImage::of(*codec, {*p.pool, blocks, 64}, none, c.scratch));
  SwapMemory most(100);
  CHECK(most.take(100));
  CHECK_FALSE(most.take(1));
  CHECK_FALSE(most.take(~std::uint64_t{0}));
}

TEST_CASE("rows that no codec of this build carries are not swapped") {
  Copier c;
  CHECK(KvImage::codec_for(*c.codecs, {2, 1, 3, 16, 4, engine::DType::bf16}) == nullptr);
}
