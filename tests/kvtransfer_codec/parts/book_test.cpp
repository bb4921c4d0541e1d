// What rotation and Lloyd-Max levels promise, and signs and scales that are the same for ever.
#include <catch2/catch.hpp>
#include <cmath>

#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/codec/parts/signs.h"
#include "tests/kvtransfer_codec/segments.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

/// Squared error over power of each (token, head) vector.
std::vector<double> relative_errors(const SegmentShape& s, const std::vector<float>& values,
                                    const char* profile = "h4") {
  const auto registry = make_registry();
  const Codec& c = *registry->profile(profile)->codec;
  Pages in(s), out(s);
  in.set_values(values);
  CodecScratch scratch;
  std::vector<std::byte> blob(c.max_encoded_size(s));
  blob.resize(c.encode(s, in.reading(), blob, scratch).value());
  REQUIRE(c.decode(s, blob, out.writing(), scratch));
  const auto a = in.values(), b = out.values();
  std::vector<double> errors;
  for (std::size_t v = 0; v < a.size(); v += s.head_dim) {
    double e = 0, p = 0;
    for (std::size_t i = v; i < v + s.head_dim; ++i) {
      e += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
      p += double{a[i]} * a[i];
    }
    errors.push_back(p > 0 ? e / p : e);
  }
  return errors;
}

double mean(const std::vector<double>& v) {
  double s = 0;
  for (const double x : v) s += x;
  return s / static_cast<double>(v.size());
}

}  // namespace

TEST_CASE("h4 on Gaussian vectors reaches the Lloyd-Max quantizer's error") {
  const SegmentShape s{.tokens = 500, .kv_heads = 2, .head_dim = 128};
  std::mt19937 gen(31);
  std::normal_distribution<float> normal;
  std::vector<float> v(500 * 256);
  for (auto& x : v) x = normal(gen);
  REQUIRE(mean(relative_errors(s, v)) < 0.0105);  // 0.0095 for the unit Gaussian, and bf16 and the scale's own share
  // A uniform step of 0.4: 0.4^2 / 12, and what is cut off beyond 3 norms.
  REQUIRE(mean(relative_errors(s, v, "h4r")) < 0.0145);
  REQUIRE(mean(relative_errors(s, v, "h3r")) < 0.056);
}

TEST_CASE("a scale of one byte is the nearest in octaves") {
  REQUIRE(log8::value(0) == 0.0F);
  REQUIRE(log8::code(0.0F) == 0);
  for (unsigned c = 1; c < 256; ++c) {
    const auto code = static_cast<std::uint8_t>(c);
    const double exact = std::exp2((c - 1) / 8.0 - 24);
    REQUIRE(log8::value(code) == Approx(exact).epsilon(1e-7));
    REQUIRE(log8::code(log8::value(code)) == code);
    if (c < 255) {
      REQUIRE(log8::code(static_cast<float>(exact * std::exp2(0.49 / 8))) == code);
      REQUIRE(log8::code(static_cast<float>(exact * std::exp2(0.51 / 8))) == code + 1);
    }
  }
  REQUIRE(log8::code(1e30F) == 255);
  REQUIRE(log8::code(1e-12F) == 0);
}

TEST_CASE("h4 spreads outlier channels: its error does not grow with them") {
  const SegmentShape s{.tokens = 500, .kv_heads = 2, .head_dim = 128};
  REQUIRE(mean(relative_errors(s, realistic(s, 32))) < 0.012);
}

TEST_CASE("h4 keeps its relative error from the smallest to the largest values") {
  const SegmentShape s{.tokens = 1, .kv_heads = 1, .head_dim = 64};
  const auto base = realistic(s, 33);
  for (const float scale : {1e-32F, 1e-25F, 1e-18F, 1e-10F, 1.0F, 1e10F, 1e18F, 1e25F, 1e35F}) {
    auto v = base;
    for (auto& x : v) x *= scale;
    REQUIRE(relative_errors(s, v)[0] < 0.03);
  }
  REQUIRE(relative_errors(s, std::vector<float>(64, 0.0F))[0] == 0.0);
}

TEST_CASE("a uniform step quantizer's error is that of its step") {
  constexpr std::string_view kFine = R"({"profiles": [{"name": "u", "stated_kl": 1, "key": "m", "value": "m", "classes":
    {"m": {"transform": "hadamard", "quantizer": "uniform", "levels": 255, "step": 0.05}}}]})";
  const auto registry = make_registry(kFine, supported_isas().back());
  REQUIRE(registry);
  const SegmentShape s{.tokens = 100, .kv_heads = 2, .head_dim = 64};
  Pages in(s), out(s);
  in.set_values(realistic(s, 34));
  CodecScratch scratch;
  const Codec& c = *(*registry)->profiles()[0].codec;
  std::vector<std::byte> blob(c.max_encoded_size(s));
  blob.resize(c.encode(s, in.reading(), blob, scratch).value());
  REQUIRE(c.decode(s, blob, out.writing(), scratch));
  const auto a = in.values(), b = out.values();
  double e = 0, p = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    e += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    p += double{a[i]} * a[i];
  }
  // step^2 / 12 of the power, and bf16's own.
  REQUIRE(e / p == Approx(0.05 * 0.05 / 12).epsilon(0.1));
}

TEST_CASE("the signs never change") {
  // The stream is part of the wire format: a change here needs a new signs version and a new format version.
  std::vector<std::uint16_t> signs(128);
  const auto word = [&](std::size_t from) {
    std::uint64_t w = 0;
    for (std::size_t i = 0; i < 64; ++i) w |= std::uint64_t{signs[from + i] != 0} << i;
    return w;
  };
  fill_signs(0, KvKind::key, 0, signs);
  REQUIRE(word(0) == 0x568a9b0b1a2c05ecULL);
  REQUIRE(word(64) == 0x44e5b8b147ef718bULL);
  fill_signs(31, KvKind::value, 7, signs);
  REQUIRE(word(0) == 0x5e2800df94fcd609ULL);
}
