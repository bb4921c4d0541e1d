#include "tools/profiler/parts.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <set>

#include "kvtransfer/codec/kernels/bf16.h"

using namespace sluice;
using namespace sluice::profiler;

namespace {

KvSample noise(std::uint32_t layers, std::uint32_t sequences, std::uint32_t tokens) {
  KvSample s{.layers = layers, .kv_heads = 2, .head_dim = 64, .sequences = sequences, .tokens = tokens, .data = {}};
  std::mt19937 gen(5);
  std::normal_distribution<float> normal;
  for (auto& kind : s.data)
    for (std::uint32_t l = 0; l < layers; ++l) {
      kind.emplace_back(s.plane_bytes());
      for (std::size_t i = 0; i < s.plane_bytes(); i += 2) {
        const std::uint16_t v = kv::f32_to_bf16(normal(gen) * (1.0F + static_cast<float>(l)));
        std::memcpy(kind.back().data() + i, &v, 2);
      }
    }
  return s;
}

std::unique_ptr<kv::Codec> codec_of(const kv::ProfileSpec& p) {
  return kv::make_pipeline(1, p, kv::supported_isas().back(), nullptr);
}

constexpr MeasureOptions kOnce{.segment_tokens = 64, .repeats = 1};

}  // namespace

TEST_CASE("a candidate's bytes and errors are its parts', whatever its class map") {
  const Space s = or_throw(Space::make({.small = true}));
  const KvSample sample = noise(4, 2, 100);
  // One candidate of every guard and of every choice of exact tokens.
  std::set<std::tuple<Guard, std::uint32_t, std::uint32_t>> seen;
  for (std::size_t i = 0; i < s.candidates.size(); i += 61) {
    const Candidate& c = s.candidates[i];
    const Lossy& l = s.lossy[c.lossy];
    if (!seen.emplace(l.guard, l.sinks, l.tail).second) continue;
    CAPTURE(s.id(c));
    PartTable parts;
    double wire = 0;
    std::vector<double> errors[2];
    const auto whole = codec_of(s.profile(c));
    for (const bool value : {false, true}) {
      for (std::uint32_t layer = 0; layer < 4; ++layer) {
        const Part p = s.part(c, layer, 4, value);
        if (!parts.contains(p)) parts[p] = or_throw(measure(*codec_of(s.profile(p)), sample, value, kOnce));
      }
      const PartFigures f = or_throw(measure(*whole, sample, value, kOnce));
      for (const double w : f.wire_bytes) wire += w;
      errors[value ? 1 : 0] = f.error;
    }
    const Cheap cheap = compose(s, c, parts, 4, sample.plane_bytes());
    CHECK(cheap.ratio == Approx(8.0 * static_cast<double>(sample.plane_bytes()) / wire).epsilon(0.002));
    for (std::uint32_t layer = 0; layer < 4; ++layer) {
      CHECK(cheap.key_error[layer] == Approx(errors[0][layer]));
      CHECK(cheap.value_error[layer] == Approx(errors[1][layer]));
    }
    CHECK(cheap.speed() > 0);
  }
  CHECK(seen.size() == 12);
}

TEST_CASE("coders lose nothing: all candidates of an entry decode to the same values") {
  const Space s = or_throw(Space::make({.calibrated = false}));
  const KvSample sample = noise(1, 1, 80);
  std::set<std::size_t> seen;
  for (const Candidate& c : s.candidates) {
    const Lossy& l = s.lossy[c.lossy];
    if (l.guard != Guard::none || l.sinks != 0 || l.key != l.value) continue;
    for (const bool value : {false, true}) {
      CAPTURE(s.id(c), value);
      const Part mine = s.part(c, 0, 4, value);
      Part first = mine;
      first.coder = s.choices[mine.choice].coders.front();
      const auto a = or_throw(measure(*codec_of(s.profile(mine)), sample, value, kOnce));
      const auto b = or_throw(measure(*codec_of(s.profile(first)), sample, value, kOnce));
      CHECK(a.error == b.error);
      CHECK(a.first_error == b.first_error);
      CHECK(a.last_error == b.last_error);
    }
    seen.insert(l.key);
  }
  CHECK(seen.size() > 10);
}

TEST_CASE("tokens kept exact show no error of their own") {
  const Space s = or_throw(Space::make({.small = true}));
  const KvSample sample = noise(1, 1, 100);
  Part p{.choice = s.lossy.front().key, .coder = kv::Coder::rans};
  const auto plain = or_throw(measure(*codec_of(s.profile(p)), sample, false, kOnce));
  p.sinks = kSinks, p.tail = kTail;
  const auto kept = or_throw(measure(*codec_of(s.profile(p)), sample, false, kOnce));
  CHECK(plain.first_error[0] > 0);
  CHECK(plain.last_error[0] > 0);
  CHECK(kept.first_error[0] == 0);
  CHECK(kept.last_error[0] == 0);
  CHECK(kept.error[0] > 0);
  CHECK(kept.error[0] < plain.error[0]);
}
