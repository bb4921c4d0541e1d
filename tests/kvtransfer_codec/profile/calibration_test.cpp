// Channels that are shifted and scaled before they are quantized.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/codec/profile/calibration_json.h"
#include "tests/kvtransfer_codec/segments.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

constexpr std::uint32_t kLayers = 3, kHeads = 4, kDim = 64, kChannels = kHeads * kDim;

nlohmann::json calibration_json(float shift_step = 0.25F, float scale = 2.0F) {
  std::vector<float> shift, scales;
  for (std::uint32_t i = 0; i < kLayers * kChannels; ++i) {
    shift.push_back(shift_step * static_cast<float>(i % 37) - 4);
    scales.push_back(i % 2 == 0 ? scale : 1 / scale);
  }
  const nlohmann::json kind{{"shift", shift}, {"scale", scales}};
  return {{"layers", kLayers}, {"kv_heads", kHeads}, {"head_dim", kDim}, {"key", kind}, {"value", kind}};
}

CalibrationPtr calibration(float shift_step = 0.25F) {
  return parse_calibration(calibration_json(shift_step).dump()).value();
}

/// Every transform and quantizer kind, calibrated; the head rule makes parts that begin inside a layer's channels.
constexpr std::string_view kProfiles = R"({"profiles": [
  {"name": "book", "stated_kl": 1, "key": "m", "value": "m", "classes": {
    "m": {"transform": "hadamard", "quantizer": "uniform", "levels": 63, "step": 0.1, "calibrated": true, "coder": "rans"}}},
  {"name": "int8", "stated_kl": 1, "key": "m", "value": "m", "classes": {"m": {"quantizer": "absmax", "calibrated": true}}},
  {"name": "page", "stated_kl": 1, "key": "m", "value": "m", "classes": {
    "m": {"transform": "hadamard", "quantizer": "minmax", "levels": 64, "axis": "channel", "calibrated": true}}},
  {"name": "mixed", "stated_kl": 1, "key": "m", "value": "m",
   "classes": {"m": {"quantizer": "absmax", "calibrated": true}, "x": {"coder": "raw"}}, "rules": [{"heads": [0, 2], "class": "x"}]}
]})";

SegmentShape shape(KvKind kind) {
  return {
      .tokens = 70, .kv_heads = kHeads, .head_dim = kDim, .kind = kind, .layer = 2, .layers = kLayers, .end_token = 70};
}

/// Values that lie where the calibration says: its shift plus its scale times noise.
std::vector<float> fitting(const Calibration& c, const SegmentShape& s) {
  std::mt19937 gen(5);
  std::normal_distribution<float> normal;
  std::vector<float> v;
  const std::size_t kind = static_cast<std::size_t>(s.kind), first = std::size_t{s.layer} * kChannels;
  for (std::uint32_t t = 0; t < s.tokens; ++t)
    for (std::uint32_t i = 0; i < kChannels; ++i)
      v.push_back(c.shift[kind][first + i] + 0.1F * c.scale[kind][first + i] * normal(gen));
  return v;
}

}  // namespace

TEST_CASE("calibrated classes read back what they wrote, on every instruction set alike") {
  const auto c = calibration();
  for (const KvKind kind : {KvKind::key, KvKind::value}) {
    const SegmentShape s = shape(kind);
    Pages in(s);
    in.set_values(fitting(*c, s));
    const auto reference = make_registry(kProfiles, Isa::scalar, c).value();
    for (const Isa isa : supported_isas()) {
      const auto registry = make_registry(kProfiles, isa, c).value();
      for (const Profile& p : registry->profiles()) {
        INFO(p.name << " on " << name(isa));
        CodecScratch scratch;
        std::vector<std::byte> blob(p.codec->max_encoded_size(s)), expected = blob;
        blob.resize(p.codec->encode(s, in.reading(), blob, scratch).value());
        expected.resize(reference->profile(p.name)->codec->encode(s, in.reading(), expected, scratch).value());
        REQUIRE(blob == expected);
        Pages out(s);
        REQUIRE(p.codec->decode(s, blob, out.writing(), scratch));
        const auto a = in.values(), b = out.values();
        double error = 0, spread = 0;
        for (std::size_t i = 0; i < a.size(); ++i) {
          const std::size_t channel = std::size_t{s.layer} * kChannels + i % kChannels;
          const double deviation = a[i] - c->shift[static_cast<std::size_t>(kind)][channel];
          error += (a[i] - b[i]) * (a[i] - b[i]);
          spread += deviation * deviation;
        }
        // Against the spread around the shift, which is a hundredth of the power. bf16 alone is 1e-3 of it.
        REQUIRE(error < 0.01 * spread);
      }
    }
  }
}

TEST_CASE("profiles that need a calibration are left out without one, and others carry its digest") {
  REQUIRE(make_registry(kProfiles, Isa::scalar).value()->profiles().empty());
  const auto one = make_registry(kProfiles, Isa::scalar, calibration(0.25F)).value();
  const auto two = make_registry(kProfiles, Isa::scalar, calibration(0.5F)).value();
  REQUIRE(one->profiles().size() == 4);
  REQUIRE(one->format_hash() != two->format_hash());
  REQUIRE(one->profile("book")->codec->id() != two->profile("book")->codec->id());
}

TEST_CASE("a layout that the calibration is not for is not supported") {
  const auto r = make_registry(kProfiles, Isa::scalar, calibration()).value();
  SegmentShape s = shape(KvKind::key);
  REQUIRE(r->profile("book")->codec->supports(s));
  s.layer = kLayers;
  REQUIRE_FALSE(r->profile("book")->codec->supports(s));
  s = shape(KvKind::key);
  s.kv_heads = kHeads + 1;
  REQUIRE_FALSE(r->profile("book")->codec->supports(s));
  s = shape(KvKind::key);
  s.head_dim = 2 * kDim;
  REQUIRE_FALSE(r->profile("book")->codec->supports(s));
}

TEST_CASE("a mistake in a calibration is named") {
  const auto refusal = [](const nlohmann::json& j) {
    const auto r = parse_calibration(j.dump());
    REQUIRE_FALSE(r);
    return r.error().message;
  };
  using Catch::Contains;
  auto j = calibration_json();
  j["layers"] = 0;
  CHECK_THAT(refusal(j), Contains("layers"));
  j = calibration_json();
  j["key"]["shift"].push_back(1);
  CHECK_THAT(refusal(j), Contains("key.shift"));
  j = calibration_json();
  j["value"]["scale"][3] = 0;
  CHECK_THAT(refusal(j), Contains("value.scale"));
  j = calibration_json();
  j["value"]["shift"][3] = "x";
  CHECK_THAT(refusal(j), Contains("value.shift"));
  j = calibration_json();
  j.erase("value");
  CHECK_THAT(refusal(j), Contains("'value' is missing"));
  REQUIRE_FALSE(parse_calibration("["));
}
