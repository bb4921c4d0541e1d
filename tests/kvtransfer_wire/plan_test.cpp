// Property: whatever the model, the chunks and the frame size, each (layer, kind, token) is in exactly one frame.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "kvtransfer/transfer_plan.h"

using namespace sluice::kv;

namespace {

std::vector<FrameSpec> run_chunk(TransferPlanner& p, const KvLayout& layout, TokenRange chunk) {
  std::vector<FrameSpec> all;
  for (std::uint32_t l = 0; l < layout.layers; ++l)
    for (const FrameSpec& f : p.layer_done(chunk, l)) {
      REQUIRE(f.layers.begin + f.layers.count <= l + 1);  // never a layer that is not computed yet
      all.push_back(f);
    }
  return all;
}

}  // namespace

TEST_CASE("every row is in exactly one frame, and frames keep to their size") {
  std::mt19937 gen(1);
  for (int round = 0; round < 500; ++round) {
    const KvLayout layout{.layers = 1 + static_cast<std::uint32_t>(gen() % 40),
                          .kv_heads = 1 + static_cast<std::uint32_t>(gen() % 8),
                          .head_dim = 2 * (1 + static_cast<std::uint32_t>(gen() % 64))};
    const PlanOptions options{.target_frame_bytes = std::size_t{1} << (8 + gen() % 16),
                              .token_multiple = 1U << gen() % 8};
    const std::uint32_t total = 1 + gen() % 600;
    TransferPlanner planner(layout, options);
    CoverageTracker coverage(layout, {0, total});
    for (std::uint32_t at = 0; at < total;) {
      const TokenRange chunk{at, std::min<std::uint32_t>(1 + gen() % 300, total - at)};
      for (const FrameSpec& f : run_chunk(planner, layout, chunk)) {
        const std::size_t bytes = f.segments() * f.tokens.count * layout.row_bytes();
        REQUIRE((bytes <= options.target_frame_bytes || (f.layers.count == 1 && f.tokens.count == 1)));
        REQUIRE(coverage.claim(f));
        coverage.commit(f);
      }
      at += chunk.count;
    }
    REQUIRE(coverage.complete());
  }
}

TEST_CASE("frames are the same whether chunks are computed one after another or together") {
  const KvLayout tiny{.layers = 6, .kv_heads = 2, .head_dim = 64};
  for (const std::size_t target : {std::size_t{1} << 14, std::size_t{1} << 18, std::size_t{1} << 20}) {
    const std::vector<TokenRange> chunks{{0, 512}, {512, 512}, {1024, 100}};
    TransferPlanner apart(tiny, {.target_frame_bytes = target});
    TransferPlanner together(tiny, {.target_frame_bytes = target});
    std::vector<FrameSpec> want, got;
    for (const TokenRange& c : chunks)
      for (const FrameSpec& f : run_chunk(apart, tiny, c)) want.push_back(f);
    for (std::uint32_t l = 0; l < tiny.layers; ++l)
      for (const TokenRange& c : chunks)
        for (const FrameSpec& f : together.layer_done(c, l)) got.push_back(f);
    REQUIRE(want.size() == got.size());
    REQUIRE(std::ranges::is_permutation(want, got));
  }
}

TEST_CASE("a small model's layers share a frame") {
  const KvLayout tiny{.layers = 8, .kv_heads = 2, .head_dim = 64};
  TransferPlanner p(tiny, {});
  const auto frames = run_chunk(p, tiny, {0, 512});  // 2 MiB in all
  REQUIRE(frames.size() == 1);
  REQUIRE(frames[0].segments() == 16);
}

TEST_CASE("a large model's layer is cut by tokens, at multiples") {
  const KvLayout large{.layers = 2, .kv_heads = 8, .head_dim = 128};
  TransferPlanner p(large, {.target_frame_bytes = 1 << 20});
  const auto frames = run_chunk(p, large, {0, 4000});
  REQUIRE(frames.size() == 2 * 16);
  for (const FrameSpec& f : frames) {
    REQUIRE(f.layers.count == 1);
    REQUIRE(f.tokens.begin % 64 == 0);
  }
}

TEST_CASE("segments lie layer by layer, key before value") {
  const KvLayout layout{.layers = 4, .kv_heads = 1, .head_dim = 2};
  const FrameSpec both{.layers = {1, 2}, .kinds = kKeysAndValues, .tokens = {3, 5}};
  REQUIRE(both.segments() == 4);
  REQUIRE(both.segment(layout, 10, 2).layer == 2);
  REQUIRE(both.segment(layout, 10, 2).kind == KvKind::key);
  REQUIRE(both.segment(layout, 10, 3).kind == KvKind::value);
  REQUIRE(both.segment(layout, 10, 3).first_token == 3);
  const FrameSpec values{.layers = {1, 2}, .kinds = kValues, .tokens = {3, 5}};
  REQUIRE(values.segments() == 2);
  REQUIRE(values.segment(layout, 10, 1).layer == 2);
  REQUIRE(values.segment(layout, 10, 1).kind == KvKind::value);
}
