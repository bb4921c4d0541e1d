// Each kind of quantizer through its interface: what it says of itself is what it does.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "kvtransfer/codec/kernels/bf16.h"
#include "kvtransfer/codec/parts/quantizer.h"
#include "kvtransfer/codec/parts/transform.h"

using namespace sluice;
using namespace sluice::kv;

namespace {

constexpr PartShape kShape{.tokens = 24, .heads = 3, .head_dim = 64};

std::vector<ClassSpec> classes() {
  using enum QuantizerKind;
  return {
      {.name = "absmax", .quantizer = absmax, .levels = 255, .coder = Coder::pack},
      {.name = "absmax by channel", .quantizer = absmax, .levels = 255, .axis = Axis::channel, .coder = Coder::pack},
      {.name = "absmax 15", .quantizer = absmax, .levels = 15, .coder = Coder::pack},
      {.name = "fp8", .quantizer = fp8, .levels = 256, .coder = Coder::zstd},
      {.name = "lloyd", .quantizer = lloyd, .levels = 16, .coder = Coder::pack},
      {.name = "lloyd coded", .quantizer = lloyd, .levels = 8, .scale = Scale::log8, .coder = Coder::rans},
      {.name = "uniform", .quantizer = uniform, .levels = 15, .step = 0.4F, .coder = Coder::rans},
      {.name = "minmax", .quantizer = minmax, .levels = 12, .coder = Coder::rans},
      {.name = "minmax in groups", .quantizer = minmax, .levels = 16, .group = 16, .coder = Coder::pack},
      {.name = "minmax by channel", .quantizer = minmax, .levels = 16, .axis = Axis::channel, .coder = Coder::pack}};
}

/// Rows of a part in one allocation.
struct Rows {
  std::vector<std::uint16_t> values = std::vector<std::uint16_t>(kShape.values());
  std::vector<const std::byte*> in;
  std::vector<std::byte*> out;
  Rows() {
    auto* at = reinterpret_cast<std::byte*>(values.data());
    for (std::uint32_t r = 0; r < kShape.tokens; ++r, at += 2 * kShape.width()) {
      in.push_back(at);
      out.push_back(at);
    }
  }
};

std::size_t units(const ClassSpec& c) { return c.axis == Axis::channel ? 1 : kShape.tokens; }
std::size_t symbol_bytes(const Quantizer& q) { return kShape.values() * (q.packs() ? q.alphabet().bits : 8) / 8; }

}  // namespace

TEST_CASE("every kind of quantizer has a maker, and only none has not") {
  using enum QuantizerKind;
  const Kernels& k = kernels(Isa::scalar);
  for (const auto kind : {absmax, fp8, lloyd, uniform, minmax})
    CHECK(make_quantizer({.quantizer = kind, .levels = 16, .step = 1}, k) != nullptr);
  CHECK(make_quantizer({.quantizer = none}, k) == nullptr);
}

TEST_CASE("a quantizer reads back what it wrote, in the scales and symbols that it promised") {
  for (const ClassSpec& c : classes())
    for (const Isa isa : supported_isas()) {
      INFO(c.name << " on " << name(isa));
      const auto q = make_quantizer(c, kernels(isa));
      REQUIRE(q->supports(kShape));
      REQUIRE(q->alphabet().bits == c.bits());
      Rows rows, back;
      for (std::size_t i = 0; i < rows.values.size(); ++i)
        rows.values[i] = f32_to_bf16(std::sin(0.7F * static_cast<float>(i)) + 0.1F);
      // A byte more than promised, which is nobody's.
      const std::size_t scale_bytes = units(c) * q->unit_bytes(kShape);
      std::vector<std::byte> scales(scale_bytes + 1, std::byte{0xa5}), symbols(symbol_bytes(*q) + 1, std::byte{0xa5});
      q->encode(kShape, nullptr, {rows.in.data(), kShape.tokens, 0}, scales.data(), symbols.data());
      REQUIRE(scales.back() == std::byte{0xa5});
      REQUIRE(symbols.back() == std::byte{0xa5});
      scales.pop_back();
      symbols.pop_back();
      REQUIRE(q->good_scales(kShape, scales));
      if (!q->packs())
        REQUIRE(std::ranges::all_of(
            symbols, [&](std::byte s) { return static_cast<std::uint32_t>(s) < q->alphabet().symbols; }));
      q->decode(kShape, nullptr, scales.data(), symbols.data(), {back.out.data(), kShape.tokens});
      double error = 0, power = 0;
      for (std::size_t i = 0; i < rows.values.size(); ++i) {
        const double x = bf16_to_f32(rows.values[i]), y = bf16_to_f32(back.values[i]);
        error += (x - y) * (x - y);
        power += x * x;
      }
      CHECK(error < 0.05 * power);
    }
}

TEST_CASE("a quantizer refuses scales that none of its encoders writes") {
  for (const ClassSpec& c : classes()) {
    if (c.scale == Scale::log8) continue;  // each byte is a scale
    INFO(c.name);
    const auto q = make_quantizer(c, kernels(Isa::scalar));
    std::vector<std::byte> scales(units(c) * q->unit_bytes(kShape));
    REQUIRE(q->good_scales(kShape, scales));
    const std::uint16_t nan = 0x7fc0;
    for (std::size_t at = 0; at < scales.size(); at += 2) {
      auto bad = scales;
      std::memcpy(bad.data() + at, &nan, 2);
      REQUIRE_FALSE(q->good_scales(kShape, bad));
    }
  }
}

TEST_CASE("shapes that a quantizer cannot take are refused") {
  const Kernels& k = kernels(Isa::scalar);
  PartShape p = kShape;
  p.head_dim = 2 * kMaxBookHeadDim;
  CHECK_FALSE(make_quantizer({.quantizer = QuantizerKind::lloyd, .levels = 16}, k)->supports(p));
  CHECK(make_quantizer({.quantizer = QuantizerKind::absmax, .levels = 255}, k)->supports(p));
  p.head_dim = 40;
  CHECK_FALSE(make_quantizer({.quantizer = QuantizerKind::minmax, .levels = 16, .group = 16}, k)->supports(p));
}

TEST_CASE("rows are transformed only where the class says so and the quantizer does not") {
  const Kernels& k = kernels(Isa::scalar);
  const ClassSpec plain{}, rotated{.transform = Transform::hadamard}, calibrated{.calibrated = true};
  CHECK(RowTransform(plain, false, k, nullptr).identity());
  CHECK(RowTransform(rotated, true, k, nullptr).identity());
  CHECK_FALSE(RowTransform(rotated, false, k, nullptr).identity());
  CHECK_FALSE(RowTransform(calibrated, true, k, nullptr).identity());
  CHECK_FALSE(RowTransform(calibrated, true, k, nullptr).supports(kShape));  // there is none
}

TEST_CASE("rows come back from their transform") {
  const Kernels& k = kernels(Isa::scalar);
  const RowTransform t({.transform = Transform::hadamard}, false, k, nullptr);
  REQUIRE(t.supports(kShape));
  Rows rows;
  for (std::size_t i = 0; i < rows.values.size(); ++i) rows.values[i] = f32_to_bf16(static_cast<float>(i % 13) - 6.0F);
  const auto before = rows.values;
  CodecScratch scratch;
  draw_signs(kShape, scratch);
  const PartRowsIn forward = t.forward(kShape, rows.in, scratch);
  REQUIRE(forward.size() == kShape.tokens);
  REQUIRE(rows.values == before);  // they are the caller's
  REQUIRE(std::memcmp(forward[0], rows.in[0], 2 * kShape.width()) != 0);
  Rows back;
  for (std::uint32_t r = 0; r < kShape.tokens; ++r) std::memcpy(back.out[r], forward[r], 2 * kShape.width());
  t.backward(kShape, back.out, scratch);
  for (std::size_t i = 0; i < before.size(); ++i)
    REQUIRE(std::fabs(bf16_to_f32(before[i]) - bf16_to_f32(back.values[i])) < 0.1F);
}
