#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "kvtransfer/transfer_plan.h"

using namespace sluice;
using namespace sluice::kv;

namespace {
const KvLayout kLayout{.layers = 3, .kv_heads = 1, .head_dim = 2};
}

TEST_CASE("frames in any order complete the coverage exactly once") {
  std::mt19937 gen(2);
  for (int round = 0; round < 100; ++round) {
    const TokenRange tokens{static_cast<std::uint32_t>(gen() % 100), 1 + static_cast<std::uint32_t>(gen() % 300)};
    std::vector<FrameSpec> frames;
    for (std::uint32_t l = 0; l < 3; ++l)
      for (std::uint32_t at = 0; at < tokens.count;) {
        const std::uint32_t n = std::min<std::uint32_t>(1 + gen() % 90, tokens.count - at);
        if (gen() % 2) {
          frames.push_back({{l, 1}, kKeysAndValues, {tokens.begin + at, n}});
        } else {
          frames.push_back({{l, 1}, kKeys, {tokens.begin + at, n}});
          frames.push_back({{l, 1}, kValues, {tokens.begin + at, n}});
        }
        at += n;
      }
    std::shuffle(frames.begin(), frames.end(), gen);
    CoverageTracker c(kLayout, tokens);
    for (const FrameSpec& f : frames) {
      REQUIRE_FALSE(c.complete());
      REQUIRE(c.claim(f));
      const auto again = c.claim(f);
      REQUIRE_FALSE(again);
      REQUIRE(again.error().code == Errc::already_exists);
      c.commit(f);
    }
    REQUIRE(c.complete());
    REQUIRE(c.committed() == c.expected());
  }
}

TEST_CASE("an overlap in a single row is refused and marks nothing") {
  CoverageTracker c(kLayout, {10, 200});
  REQUIRE(c.claim({{1, 1}, kValues, {100, 1}}));
  const auto r = c.claim({{0, 3}, kKeysAndValues, {10, 200}});
  REQUIRE_FALSE(r);
  REQUIRE(r.error().code == Errc::already_exists);
  REQUIRE(c.claim({{0, 3}, kKeys, {10, 200}}));  // the refused claim left these free
}

TEST_CASE("frames outside what is expected are corrupt") {
  CoverageTracker c(kLayout, {10, 200});
  const std::uint32_t huge = 0xffffffff;
  for (const FrameSpec& f :
       {FrameSpec{{0, 0}, 3, {10, 1}}, FrameSpec{{3, 1}, 3, {10, 1}}, FrameSpec{{2, 2}, 3, {10, 1}},
        FrameSpec{{1, huge}, 3, {10, 1}}, FrameSpec{{0, 1}, 0, {10, 1}}, FrameSpec{{0, 1}, 4, {10, 1}},
        FrameSpec{{0, 1}, 3, {9, 1}}, FrameSpec{{0, 1}, 3, {210, 1}}, FrameSpec{{0, 1}, 3, {10, 201}},
        FrameSpec{{0, 1}, 3, {100, huge}}, FrameSpec{{0, 1}, 3, {10, 0}}}) {
    const auto r = c.claim(f);
    REQUIRE_FALSE(r);
    REQUIRE(r.error().code == Errc::data_corrupt);
  }
}

TEST_CASE("an abandoned frame may come again") {
  CoverageTracker c(kLayout, {0, 100});
  const FrameSpec f{{0, 2}, kKeysAndValues, {30, 70}};
  REQUIRE(c.claim(f));
  c.abandon(f);
  REQUIRE(c.committed() == 0);
  REQUIRE(c.claim(f));
}
