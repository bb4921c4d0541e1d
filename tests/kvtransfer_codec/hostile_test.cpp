// Decoders against bytes that no encoder wrote. Run under ASan and UBSan, "no crash" is the assertion.
#include <catch2/catch.hpp>

#include "kvtransfer/codec/blob.h"
#include "kvtransfer/codec/codecs.h"
#include "tests/kvtransfer_codec/segments.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

struct Sample {
  SegmentShape shape;
  std::vector<std::byte> blob;
};

Sample sample(const Codec& c, KvKind kind, std::uint32_t tokens = 5) {
  const SegmentShape s{.tokens = tokens,
                       .kv_heads = 2,
                       .head_dim = 32,
                       .kind = kind,
                       .layer = 3,
                       .first_token = 64,
                       .layers = 9,
                       .end_token = 4000};
  Pages p(s);
  p.set_values(realistic(s, 11));
  CodecScratch scratch;
  std::vector<std::byte> blob(c.max_encoded_size(s));
  blob.resize(c.encode(s, p.reading(), blob, scratch).value());
  return {s, blob};
}

/// A buffer of exactly the blob's size, so that ASan guards its end.
Result<> decode(const Codec& c, const SegmentShape& s, std::span<const std::byte> bytes) {
  const auto exact = std::make_unique<std::byte[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  Pages out(s);
  CodecScratch scratch;
  return c.decode(s, {exact.get(), bytes.size()}, out.writing(), scratch);
}

template <class Fn>
void for_all(Fn&& fn) {
  for (const Isa isa : supported_isas()) {
    const auto registry = make_registry(isa);
    for (const Codec* c : registry->codecs())
      for (const KvKind kind : {KvKind::key, KvKind::value}) {
        INFO(c->name() << " on " << name(isa));
        fn(*c, kind);
      }
  }
}

}  // namespace

TEST_CASE("a truncated or extended blob is corrupt at every length") {
  for_all([](const Codec& c, KvKind kind) {
    auto [shape, blob] = sample(c, kind);
    REQUIRE(decode(c, shape, blob));
    for (std::size_t n = 0; n < blob.size(); ++n) {
      const auto r = decode(c, shape, std::span(blob).first(n));
      REQUIRE_FALSE(r);
      REQUIRE(r.error().code == Errc::data_corrupt);
    }
    blob.push_back(std::byte{0});
    REQUIRE_FALSE(decode(c, shape, blob));
  });
}

TEST_CASE("a flipped bit in the header is corrupt, anywhere else it is harmless") {
  for_all([](const Codec& c, KvKind kind) {
    auto [shape, blob] = sample(c, kind);
    for (std::size_t bit = 0; bit < 8 * blob.size(); ++bit) {
      blob[bit / 8] ^= std::byte{1} << bit % 8;
      const auto r = decode(c, shape, blob);
      if (bit / 8 < kBlobHeaderBytes) REQUIRE_FALSE(r);
      if (!r) REQUIRE(r.error().code == Errc::data_corrupt);
      blob[bit / 8] ^= std::byte{1} << bit % 8;
    }
  });
}

TEST_CASE("a blob of another shape, layer, kind or codec is corrupt") {
  const auto registry = make_registry();
  for_all([&](const Codec& c, KvKind kind) {
    const auto [shape, blob] = sample(c, kind);
    std::vector<SegmentShape> others(7, shape);
    others[0].tokens = 6;
    others[1].kv_heads = 1;
    others[2].head_dim = 64;
    others[3].layer = 4;
    others[4].kind = kind == KvKind::key ? KvKind::value : KvKind::key;
    others[5].kv_heads = 4, others[5].head_dim = 16;
    others[6].tokens = 4096;
    for (const SegmentShape& other : others) REQUIRE_FALSE(decode(c, other, blob));
    for (const Codec* wrong : registry->codecs())
      if (wrong->id() != c.id()) REQUIRE_FALSE(decode(*wrong, shape, blob));
  });
}

TEST_CASE("scales that no encoder writes are corrupt") {
  constexpr std::size_t kScales = 32;  // after the header and the length of one part
  for (const Isa isa : supported_isas()) {
    const auto registry = make_registry(isa);
    for (const char* profile : {"fp8", "q8", "k8v4", "k6v4", "int4", "h4", "kivi4"})
      for (const KvKind kind : {KvKind::key, KvKind::value}) {
        INFO(profile << " on " << name(isa));
        const Codec& c = *registry->profile(profile)->codec;
        auto [shape, blob] = sample(c, kind);
        for (const std::uint16_t bad : {0x7f80, 0x7fc0, 0xff80, 0x8000, 0xbf80, 0x0001, 0x7f7f}) {
          std::memcpy(blob.data() + kScales, &bad, 2);
          REQUIRE_FALSE(decode(c, shape, blob));
        }
      }
  }
}

TEST_CASE("a part that claims more bytes than there are is corrupt") {
  for_all([](const Codec& c, KvKind kind) {
    if (c.name() == "raw" || c.name() == "ll") return;
    auto [shape, blob] = sample(c, kind);
    for (const std::uint32_t bad : {0U, 1U, 0x7fffffffU, 0xffffffffU, static_cast<std::uint32_t>(blob.size())}) {
      std::memcpy(blob.data() + kBlobHeaderBytes, &bad, 4);
      const auto r = decode(c, shape, blob);
      REQUIRE_FALSE(r);
      REQUIRE(r.error().code == Errc::data_corrupt);
    }
  });
}

TEST_CASE("noise behind a good header never crashes a decoder") {
  for_all([](const Codec& c, KvKind kind) {
    auto [shape, blob] = sample(c, kind, 40);
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
      const auto noise = random_bytes(blob.size(), seed);
      // Leave a prefix of changing length whole, so that later checks are reached too.
      const std::size_t keep = kBlobHeaderBytes + seed % 40;
      std::copy(noise.begin() + static_cast<std::ptrdiff_t>(keep), noise.end(),
                blob.begin() + static_cast<std::ptrdiff_t>(keep));
      const auto r = decode(c, shape, blob);
      if (!r) REQUIRE(r.error().code == Errc::data_corrupt);
    }
  });
}
