#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "kvtransfer/wire/seal.h"

using namespace sluice;
using namespace sluice::kv;

namespace {

std::vector<std::byte> ramp(std::size_t n) {
  std::vector<std::byte> b(n);
  for (std::size_t i = 0; i < n; ++i) b[i] = static_cast<std::byte>(i * 7);
  return b;
}

SealKey test_key() {
  SealKey k;
  for (std::size_t i = 0; i < k.size(); ++i) k[i] = static_cast<std::uint8_t>(i);
  return k;
}

}  // namespace

TEST_CASE("a sealed payload opens, and only encrypt hides it") {
  Sealer s;
  const auto header = ramp(kSealedHeaderBytes), plain = ramp(100001);
  for (const SealMode mode : {SealMode::encrypt, SealMode::digest})
    for (const std::uint64_t sequence : {0ULL, 1ULL, ~0ULL}) {
      const Nonce nonce = make_nonce(5, Direction::prefill_to_decode, sequence);
      auto payload = plain;
      const auto tag = s.seal(mode, test_key(), nonce, header, payload);
      REQUIRE(tag);
      REQUIRE((payload == plain) == (mode == SealMode::digest));
      REQUIRE(s.open(mode, test_key(), nonce, header, payload, *tag));
      REQUIRE(payload == plain);
    }
}

TEST_CASE("AES-256-GCM agrees with test case 16 of its specification") {
  // McGrew and Viega, The Galois/Counter Mode of Operation, appendix B.
  const auto hex = [](std::string_view h) {
    std::vector<std::byte> b;
    for (std::size_t i = 0; i < h.size(); i += 2)
      b.push_back(static_cast<std::byte>(std::stoi(std::string(h.substr(i, 2)), nullptr, 16)));
    return b;
  };
  SealKey key;
  const auto k = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  std::memcpy(key.data(), k.data(), key.size());
  Nonce nonce;
  const auto iv = hex("cafebabefacedbaddecaf888");
  std::memcpy(nonce.data(), iv.data(), nonce.size());
  const auto aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  auto text =
      hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0d"
          "e657ba"
          "637b39");
  Sealer s;
  const auto tag = s.seal(SealMode::encrypt, key, nonce, aad, text);
  REQUIRE(tag);
  REQUIRE(text ==
          hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f6"
              "1e6393ba7a0abcc9f662"));
  const auto expected = hex("76fc6ece0f4e1768cddf8853bb2d551b");
  REQUIRE(std::memcmp(tag->data(), expected.data(), 16) == 0);
}

TEST_CASE("any change to header, payload, tag, key or nonce is corrupt") {
  Sealer s;
  const auto header = ramp(kSealedHeaderBytes), plain = ramp(333);
  for (const SealMode mode : {SealMode::encrypt, SealMode::digest}) {
    const Nonce nonce = make_nonce(5, Direction::prefill_to_decode, 9);
    auto sealed = plain;
    const SealTag tag = s.seal(mode, test_key(), nonce, header, sealed).value();
    const auto refused = [&](const SealKey& k, const Nonce& n, std::span<const std::byte> h, std::vector<std::byte> p,
                             const SealTag& t) {
      const auto r = s.open(mode, k, n, h, p, t);
      return !r && r.error().code == Errc::data_corrupt;
    };
    for (std::size_t bit = 0; bit < 8 * sealed.size(); bit += 5) {
      auto p = sealed;
      p[bit / 8] ^= std::byte{1} << bit % 8;
      REQUIRE(refused(test_key(), nonce, header, p, tag));
    }
    for (std::size_t bit = 0; bit < 8 * header.size(); ++bit) {
      auto h = header;
      h[bit / 8] ^= std::byte{1} << bit % 8;
      REQUIRE(refused(test_key(), nonce, h, sealed, tag));
    }
    for (std::size_t bit = 0; bit < 128; ++bit) {
      auto t = tag;
      t[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      REQUIRE(refused(test_key(), nonce, header, sealed, t));
    }
    auto key = test_key();
    key[0] ^= 1;
    REQUIRE(refused(key, nonce, header, sealed, tag));
    REQUIRE(refused(test_key(), make_nonce(5, Direction::prefill_to_decode, 10), header, sealed, tag));
    REQUIRE(refused(test_key(), make_nonce(5, Direction::decode_to_prefill, 9), header, sealed, tag));
    // The other mode's tag does not open it either.
    const SealMode other = mode == SealMode::encrypt ? SealMode::digest : SealMode::encrypt;
    auto p = sealed;
    REQUIRE_FALSE(s.open(other, test_key(), nonce, header, p, tag));
    // And after all that the sealer still works.
    p = sealed;
    REQUIRE(s.open(mode, test_key(), nonce, header, p, tag));
    REQUIRE(p == plain);
  }
}
