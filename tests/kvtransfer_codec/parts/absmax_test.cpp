// int8's error, value by value: half a step of the scale that covers it.
#include <catch2/catch.hpp>
#include <cmath>

#include "kvtransfer/codec/codecs.h"
#include "tests/kvtransfer_codec/segments.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

std::vector<float> round_trip(const SegmentShape& s, const Pages& in) {
  const auto registry = make_registry();
  const Codec& c = *registry->profile("q8")->codec;
  CodecScratch scratch;
  std::vector<std::byte> blob(c.max_encoded_size(s));
  blob.resize(c.encode(s, in.reading(), blob, scratch).value());
  Pages out(s);
  REQUIRE(c.decode(s, blob, out.writing(), scratch));
  return out.values();
}

/// Half a step, the step's rounding up to bf16 (1/128), and the result's rounding to bf16.
float bound(float absmax, float value) { return absmax / 254.0F * (1 + 1 / 64.0F) + std::fabs(value) / 256.0F; }

}  // namespace

TEST_CASE("q8 keys: every value within half a step of its channel's scale") {
  const SegmentShape s{.tokens = 200, .kv_heads = 2, .head_dim = 64, .kind = KvKind::key};
  Pages in(s);
  in.set_values(realistic(s, 21));
  const auto a = in.values(), b = round_trip(s, in);
  const std::size_t channels = 128;
  // 200 tokens are three groups: 64, 64 and 72.
  for (const auto& [first, end] : {std::pair{0U, 64U}, {64U, 128U}, {128U, 200U}})
    for (std::size_t c = 0; c < channels; ++c) {
      float absmax = 0;
      for (std::size_t t = first; t < end; ++t) absmax = std::max(absmax, std::fabs(a[t * channels + c]));
      for (std::size_t t = first; t < end; ++t)
        REQUIRE(std::fabs(a[t * channels + c] - b[t * channels + c]) <= bound(absmax, a[t * channels + c]));
    }
}

TEST_CASE("q8 values: every value within half a step of its token and head's scale") {
  const SegmentShape s{.tokens = 50, .kv_heads = 3, .head_dim = 48, .kind = KvKind::value};
  Pages in(s);
  in.set_values(realistic(s, 22));
  const auto a = in.values(), b = round_trip(s, in);
  for (std::size_t v = 0; v < 150; ++v) {
    float absmax = 0;
    for (std::size_t i = 0; i < 48; ++i) absmax = std::max(absmax, std::fabs(a[48 * v + i]));
    for (std::size_t i = 48 * v; i < 48 * v + 48; ++i) REQUIRE(std::fabs(a[i] - b[i]) <= bound(absmax, a[i]));
  }
}

TEST_CASE("q8: zeros stay zeros and infinity saturates") {
  const SegmentShape s{.tokens = 3, .kv_heads = 1, .head_dim = 4, .kind = KvKind::value};
  Pages in(s);
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> v(12, 0.0F);
  v[4] = inf, v[5] = -inf, v[8] = 1e-40F;
  in.set_values(v);
  const auto b = round_trip(s, in);
  REQUIRE(b[0] == 0.0F);
  REQUIRE(b[4] > 8e37F);
  REQUIRE(b[5] < -8e37F);
  REQUIRE(b[8] == 0.0F);  // its scale would be subnormal
}
