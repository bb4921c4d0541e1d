// The bytes on the wire, pinned: what one build encoded another must decode, so a change here is a new codec number,
// not a new digest. zstd and lz4 are left out: their bytes are their libraries' to choose.
#include <fmt/format.h>
#include <xxhash.h>

#include <bit>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/codec/profile/calibration_json.h"
#include "tests/kvtransfer_codec/segments.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

constexpr std::uint32_t kHeads = 3, kLayers = 2;

struct Golden {
  const char* fields;  // of the one class of a profile
  std::uint64_t digest;
};

// clang-format off
constexpr Golden kGolden[] = {
    {R"("coder": "raw")", 0xa17ff2e74b8be9b1},
    {R"("coder": "split4")", 0x283199931f282ee2},
    {R"("coder": "exp_rans")", 0x6dd835432c034f2d},
    {R"("quantizer": "absmax", "levels": 255)", 0x4c380c5be1ecf224},
    {R"("quantizer": "absmax", "levels": 255, "transform": "hadamard")", 0x92860a1e07c10ea4},
    {R"("quantizer": "absmax", "levels": 255, "calibrated": true)", 0x8c8e21d4b5056283},
    {R"("quantizer": "absmax", "levels": 255, "axis": "channel", "page": 64)", 0x41f6c4f075085c1f},
    {R"("quantizer": "absmax", "levels": 15)", 0x5542bbef2867bc45},
    {R"("quantizer": "fp8")", 0x1d2b792045ab99f2},
    {R"("quantizer": "lloyd", "levels": 4)", 0x7c76b442e093ecd8},
    {R"("quantizer": "lloyd", "levels": 8, "scale": "log8", "coder": "rans")", 0x544e1bb68489c0d4},
    {R"("quantizer": "lloyd", "levels": 16, "transform": "hadamard")", 0x7569ccb368a8f668},
    {R"("quantizer": "lloyd", "levels": 16, "transform": "hadamard", "coder": "rans", "calibrated": true)", 0xe637616bb760b84d},
    {R"("quantizer": "uniform", "levels": 15, "step": 0.5, "shrink": 0.05, "transform": "hadamard", "scale": "log8", "coder": "rans")", 0x95d9b482dec5ae11},
    {R"("quantizer": "uniform", "levels": 31, "step": 0.25)", 0xf0f9c4b4987869ab},
    {R"("quantizer": "uniform", "levels": 255, "step": 0.05, "coder": "rans")", 0x7cecbb0af7300a0b},
    {R"("quantizer": "minmax", "levels": 2)", 0x5cb812d3b5d2c4a0},
    {R"("quantizer": "minmax", "levels": 12, "coder": "rans")", 0x9babbbc178d506a4},
    {R"("quantizer": "minmax", "levels": 16, "group": 16)", 0xf3bdb4dd219a060b},
    {R"("quantizer": "minmax", "levels": 200, "transform": "hadamard")", 0x6d232373b09796dc},
    {R"("quantizer": "minmax", "levels": 64, "axis": "channel", "page": 256)", 0xe2eb7f6fb98bbae7},
    {R"("quantizer": "minmax", "levels": 255, "axis": "channel", "page": 32, "coder": "rans")", 0xcf2d2082a9404e37},
};
// clang-format on

std::string profile_of(const char* fields) {
  const bool lossless = std::string_view(fields).find("quantizer") == std::string_view::npos;
  return fmt::format(
      R"({{"profiles": [{{"name": "p", "stated_kl": {}, "classes": {{"c": {{{}}}}}, "key": "c", "value": "c"}}]}})",
      lossless ? 0 : 1, fields);
}

/// The same on every machine: sums of a generator's bits, a few channels eight times as large.
class Values {
 public:
  std::uint16_t next(bool large) {
    std::uint32_t sum = 0;
    for (int k = 0; k < 4; ++k) {
      state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      sum += static_cast<std::uint32_t>(state_ >> 48U);
    }
    return f32_to_bf16((static_cast<float>(sum) * 0x1p-16F - 2.0F) * (large ? 8.0F : 1.0F));
  }

 private:
  std::uint64_t state_ = 0x2545f4914f6cdd1dULL;
};

void fill(const SegmentShape& s, Pages& pages) {
  Values values;
  std::vector<std::byte> rows(s.raw_bytes());
  for (std::size_t i = 0; i < rows.size() / 2; ++i) {
    const auto bits = std::bit_cast<std::array<std::byte, 2>>(values.next(i % s.head_dim % 16 == 0));
    std::ranges::copy(bits, rows.begin() + static_cast<std::ptrdiff_t>(2 * i));
  }
  pages.set_bytes(rows);
}

CalibrationPtr calibration(std::uint32_t head_dim) {
  std::vector<float> shift, scale;
  for (std::uint32_t i = 0; i < kLayers * kHeads * head_dim; ++i) {
    shift.push_back(0.125F * static_cast<float>(i % 7) - 0.25F);
    scale.push_back(i % 2 == 0 ? 2.0F : 0.5F);
  }
  const nlohmann::json kind{{"shift", shift}, {"scale", scale}};
  return parse_calibration(
             nlohmann::json{
                 {"layers", kLayers}, {"kv_heads", kHeads}, {"head_dim", head_dim}, {"key", kind}, {"value", kind}}
                 .dump())
      .value();
}

/// Of the rows as encoded and as read back, in several shapes.
std::uint64_t digest_of(const char* fields, Isa isa) {
  std::uint64_t digest = 0;
  for (const std::uint32_t head_dim : {64U, 96U, 128U}) {
    const auto registry = make_registry(profile_of(fields), isa, calibration(head_dim)).value();
    const Codec& codec = *registry->profile("p")->codec;
    for (const std::uint32_t tokens : {1U, 37U, 300U})
      for (const KvKind kind : {KvKind::key, KvKind::value}) {
        const SegmentShape s{.tokens = tokens,
                             .kv_heads = kHeads,
                             .head_dim = head_dim,
                             .dtype = KvDType::bf16,
                             .kind = kind,
                             .layer = 1,
                             .layers = kLayers};
        Pages in(s), out(s);
        fill(s, in);
        CodecScratch scratch;
        std::vector<std::byte> blob(codec.max_encoded_size(s));
        blob.resize(codec.encode(s, in.reading(), blob, scratch).value());
        REQUIRE(codec.decode(s, blob, out.writing(), scratch));
        const auto back = out.bytes();
        digest = XXH64(blob.data(), blob.size(), digest);
        digest = XXH64(back.data(), back.size(), digest);
      }
  }
  return digest;
}

}  // namespace

TEST_CASE("the bytes of every composition are what they always were") {
  for (const Golden& g : kGolden)
    for (const Isa isa : supported_isas()) {
      INFO(g.fields << " on " << name(isa));
      CHECK(digest_of(g.fields, isa) == g.digest);
    }
}
