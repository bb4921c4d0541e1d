// What every codec promises, on every instruction set of this processor and for every shape it says it supports.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>

#include "kvtransfer/codec/blob.h"
#include "kvtransfer/codec/codecs.h"
#include "tests/kvtransfer_codec/segments.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

std::vector<SegmentShape> shapes() {
  std::vector<SegmentShape> all;
  for (const KvDType dtype : {KvDType::bf16, KvDType::f32})
    for (const KvKind kind : {KvKind::key, KvKind::value})
      for (const std::uint32_t tokens : {1U, 31U, 97U, 200U})
        for (const auto& [heads, dim] : {std::pair{1U, 2U},
                                         {3U, 6U},
                                         {2U, 16U},
                                         {4U, 64U},
                                         {2U, 80U},
                                         {2U, 96U},
                                         {8U, 128U},
                                         {1U, 256U},
                                         {1U, 576U}})
          all.push_back({.tokens = tokens,
                         .kv_heads = heads,
                         .head_dim = dim,
                         .dtype = dtype,
                         .kind = kind,
                         .layer = 7,
                         .first_token = 100,
                         .layers = 9,
                         .end_token = 5000});
  // Sinks and a tail, in the first and the last layer, of a short prompt.
  for (const KvKind kind : {KvKind::key, KvKind::value})
    for (const std::uint32_t layer : {0U, 8U})
      for (const auto& [first, tokens] : {std::pair{0U, 3U}, {0U, 150U}, {2U, 140U}, {60U, 100U}, {150U, 10U}})
        all.push_back({.tokens = tokens,
                       .kv_heads = 2,
                       .head_dim = 64,
                       .kind = kind,
                       .layer = layer,
                       .first_token = first,
                       .layers = 9,
                       .end_token = 160});
  return all;
}

/// Tokens that some profile keeps exact.
std::uint32_t exact_tokens(const SegmentShape& s) {
  return (s.first_token < 4 ? 4 - s.first_token : 0) + (s.first_token + s.tokens + 128 > s.end_token ? 1 : 0);
}

/// Squared error over power that a profile may make on realistic().
double error_limit(std::string_view codec) {
  static const std::map<std::string_view, double> limits = {
      {"fp8", 0.002}, {"q8", 0.0005},    {"k8v4", 0.05},     {"k6v4", 0.05},    {"h4", 0.05},   {"h4r", 0.05},
      {"int4", 0.2},  {"k4v3r", 0.1},    {"h3r", 0.1},       {"mix8r", 0.4},    {"mix9r", 0.5}, {"kivi4", 0.05},
      {"kivi2", 0.4}, {"cachegen", 0.1}, {"kvserve-q", 3.0}, {"kvserve-h", 0.5}};
  const auto it = limits.find(codec);
  INFO(codec);
  REQUIRE(it != limits.end());
  return it->second;
}

std::vector<std::byte> encode(const Codec& c, const SegmentShape& s, const Pages& p) {
  CodecScratch scratch;
  std::vector<std::byte> out(c.max_encoded_size(s));
  const auto n = c.encode(s, p.reading(), out, scratch);
  REQUIRE(n);
  REQUIRE(*n <= out.size());
  out.resize(*n);
  return out;
}

/// Random bits of any dtype: NaN, infinities and subnormals among them.
Pages random_pages(const SegmentShape& s, std::uint32_t seed) {
  Pages p(s);
  p.set_bytes(random_bytes(s.raw_bytes(), seed));
  return p;
}

Pages realistic_pages(const SegmentShape& s, std::uint32_t seed) {
  Pages p(s);
  if (s.dtype == KvDType::bf16)
    p.set_values(realistic(s, seed));
  else
    p.set_bytes(random_bytes(s.raw_bytes(), seed));
  return p;
}

template <class Fn>
void for_all(Fn&& fn) {
  for (const Isa isa : supported_isas()) {
    const auto registry = make_registry(isa);
    for (const Codec* c : registry->codecs())
      for (const SegmentShape& s : shapes())
        if (c->supports(s)) {
          INFO(c->name() << " on " << name(isa) << ": " << s.tokens << " tokens, " << s.kv_heads << " x " << s.head_dim
                         << (s.kind == KvKind::key ? " keys" : " values")
                         << (s.dtype == KvDType::f32 ? " f32" : " bf16"));
          fn(*c, s);
        }
  }
}

}  // namespace

TEST_CASE("every codec reads back what it wrote, within its error") {
  for_all([](const Codec& c, const SegmentShape& s) {
    const Pages in = realistic_pages(s, 1);
    const auto blob = encode(c, s, in);
    Pages out(s, 8, 3);  // other pages than the sender's
    CodecScratch scratch;
    REQUIRE(c.decode(s, blob, out.writing(), scratch));
    if (c.lossless()) {
      REQUIRE(out.bytes() == in.bytes());
      return;
    }
    const auto a = in.values(), b = out.values();
    double error = 0, power = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      error += (a[i] - b[i]) * (a[i] - b[i]);
      power += a[i] * a[i];
    }
    // Quantizers have tighter bounds in their own tests.
    REQUIRE(error <= power * error_limit(c.name()));
  });
}

TEST_CASE("a segment begins at any address, and nothing around it is touched") {
  // Long parts go past the caches in whole lines; their ends are lines shared with others.
  for_all([](const Codec& c, const SegmentShape& s) {
    if (s.tokens < 200) return;
    const Pages in = realistic_pages(s, 4);
    const auto blob = encode(c, s, in);
    for (const std::size_t at : {1U, 16U, 31U, 48U, 63U}) {
      CodecScratch scratch;
      const std::byte mark{0xa5};
      std::vector<std::byte> room(64 + c.max_encoded_size(s) + 192, mark);
      std::byte* const line = room.data() + 64 - reinterpret_cast<std::uintptr_t>(room.data()) % 64;
      REQUIRE(c.encode(s, in.reading(), std::span(line + at, c.max_encoded_size(s)), scratch) == blob.size());
      const auto marked = [&](std::byte* from, std::byte* to) {
        return std::all_of(from, to, [&](std::byte b) { return b == mark; });
      };
      REQUIRE(std::equal(blob.begin(), blob.end(), line + at));
      REQUIRE(marked(room.data(), line + at));
      REQUIRE(marked(line + at + c.max_encoded_size(s), room.data() + room.size()));
    }
  });
}

TEST_CASE("lossless codecs keep every bit pattern") {
  for_all([](const Codec& c, const SegmentShape& s) {
    if (!c.lossless()) return;
    const Pages in = random_pages(s, 2);
    Pages out(s, 4, 1);
    CodecScratch scratch;
    REQUIRE(c.decode(s, encode(c, s, in), out.writing(), scratch));
    REQUIRE(out.bytes() == in.bytes());
  });
}

TEST_CASE("lossy codecs answer NaN, infinity and subnormals with finite values") {
  for_all([](const Codec& c, const SegmentShape& s) {
    if (c.lossless()) return;
    if (exact_tokens(s) > 0) return;  // those keep what they are
    const Pages in = random_pages(s, 3);
    Pages out(s);
    CodecScratch scratch;
    REQUIRE(c.decode(s, encode(c, s, in), out.writing(), scratch));
    const auto values = out.values();
    REQUIRE(std::ranges::all_of(values, [](float v) { return std::isfinite(v); }));
  });
}

TEST_CASE("encoding is deterministic and does not depend on how rows are paged") {
  for_all([](const Codec& c, const SegmentShape& s) {
    const Pages in = realistic_pages(s, 4);
    const auto blob = encode(c, s, in);
    REQUIRE(encode(c, s, in) == blob);
    Pages elsewhere(s, 1, 0);
    elsewhere.set_bytes(in.bytes());
    REQUIRE(encode(c, s, elsewhere) == blob);
  });
}

TEST_CASE("every instruction set encodes and decodes to the same bits") {
  const auto reference = make_registry(Isa::scalar);
  for_all([&](const Codec& c, const SegmentShape& s) {
    const Codec& ref = *reference->find(c.id());
    for (const Pages& in : {realistic_pages(s, 5), random_pages(s, 6)}) {
      const auto blob = encode(ref, s, in);
      REQUIRE(encode(c, s, in) == blob);
      Pages a(s), b(s);
      CodecScratch scratch;
      REQUIRE(ref.decode(s, blob, a.writing(), scratch));
      REQUIRE(c.decode(s, blob, b.writing(), scratch));
      REQUIRE(a.bytes() == b.bytes());
    }
  });
}

TEST_CASE("decoding noise is the same on every instruction set") {
  // What an encoder never writes: some is refused, the rest decodes to the same bits.
  const auto reference = make_registry(Isa::scalar);
  for_all([&](const Codec& c, const SegmentShape& s) {
    const Codec& ref = *reference->find(c.id());
    const auto good = encode(ref, s, realistic_pages(s, 7));
    for (std::uint32_t seed = 8; seed < 11; ++seed) {
      auto blob = good;
      const auto noise = random_bytes(blob.size(), seed);
      // The last half, or single bytes all over.
      for (std::size_t i = kBlobHeaderBytes; i < blob.size(); ++i)
        if (seed == 8 ? i > blob.size() / 2 : i % 97 == seed) blob[i] = noise[i];
      Pages a(s), b(s);
      CodecScratch scratch;
      const bool accepted = ref.decode(s, blob, a.writing(), scratch).has_value();
      REQUIRE(c.decode(s, blob, b.writing(), scratch).has_value() == accepted);
      if (accepted) REQUIRE(a.bytes() == b.bytes());
    }
  });
}

TEST_CASE("codecs refuse what they do not support") {
  const auto registry = make_registry();
  CodecScratch scratch;
  for (const Codec* c : registry->codecs()) {
    INFO(c->name());
    SegmentShape odd{.tokens = 4, .kv_heads = 1, .head_dim = 7};
    SegmentShape none{.tokens = 0, .kv_heads = 1, .head_dim = 8};
    SegmentShape f32{.tokens = 4, .kv_heads = 1, .head_dim = 8, .dtype = KvDType::f32};
    REQUIRE_FALSE(c->supports(odd));
    REQUIRE_FALSE(c->supports(none));
    REQUIRE(c->supports(f32) == (c->name() == "raw" || c->name() == "ll"));
    std::vector<std::byte> out(1 << 12);
    const Pages p(odd);
    const auto r = c->encode(odd, p.reading(), out, scratch);
    REQUIRE_FALSE(r);
    REQUIRE(r.error().code == Errc::unsupported);
    const SegmentShape fine{.tokens = 4, .kv_heads = 1, .head_dim = 8};
    const Pages q(fine);
    REQUIRE_FALSE(c->encode(fine, q.reading(), std::span(out).first(c->max_encoded_size(fine) - 1), scratch));
  }
}
