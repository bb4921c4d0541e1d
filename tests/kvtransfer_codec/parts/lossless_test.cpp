// Lossless parts: exact for every bit pattern and shape, the same bytes on every instruction set, bytes nobody wrote.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "kvtransfer/codec/parts/lossless.h"
#include "tests/kvtransfer_codec/symbols.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

/// Rows of a part, each an allocation of its own.
class Rows {
 public:
  explicit Rows(const PartShape& p) : bytes_(2 * p.width()) {
    for (std::uint32_t t = 0; t < p.tokens; ++t) {
      rows_.push_back(std::make_unique<std::byte[]>(bytes_));
      in_.push_back(rows_.back().get());
      out_.push_back(rows_.back().get());
    }
  }
  Rows(const PartShape& p, const std::vector<std::byte>& all) : Rows(p) {
    for (std::size_t t = 0; t < rows_.size(); ++t) std::memcpy(out_[t], all.data() + t * bytes_, bytes_);
  }
  [[nodiscard]] PartRowsIn in() const { return in_; }
  [[nodiscard]] PartRowsOut out() const { return out_; }
  [[nodiscard]] std::vector<std::byte> all() const {
    std::vector<std::byte> b;
    for (const std::byte* r : in_) b.insert(b.end(), r, r + bytes_);
    return b;
  }

 private:
  std::size_t bytes_;
  std::vector<std::unique_ptr<std::byte[]>> rows_;
  std::vector<const std::byte*> in_;
  std::vector<std::byte*> out_;
};

enum class Which { split4, exp_rans };
std::unique_ptr<PartCodec> make(Which w, Isa isa) {
  return w == Which::split4 ? make_split4_part(isa) : make_exp_rans_part(isa);
}

std::vector<std::byte> encode(Which w, Isa isa, const PartShape& p, const Rows& rows) {
  CodecScratch scratch;
  const auto codec = make(w, isa);
  std::vector<std::byte> out(codec->max_bytes(p));
  const std::size_t n = codec->encode(p, rows.in(), out.data(), scratch);
  REQUIRE(n <= out.size());
  out.resize(n);
  return out;
}

Result<std::vector<std::byte>> decode(Which w, Isa isa, const PartShape& p, std::span<const std::byte> in) {
  const auto exact = std::make_unique<std::byte[]>(in.size());
  std::copy(in.begin(), in.end(), exact.get());
  const Rows rows(p);
  CodecScratch scratch;
  SLUICE_TRY(make(w, isa)->decode(p, {exact.get(), in.size()}, rows.out(), scratch));
  return rows.all();
}

std::vector<std::byte> bf16(const std::vector<float>& v) {
  std::vector<std::byte> b(2 * v.size());
  for (std::size_t i = 0; i < v.size(); ++i) {
    const std::uint16_t h = f32_to_bf16(v[i]);
    std::memcpy(b.data() + 2 * i, &h, 2);
  }
  return b;
}

/// Kinds of content: as models make it, any bits, zeros, mostly zeros, one NaN or infinity among small values,
/// subnormals.
std::vector<std::vector<std::byte>> contents(const PartShape& p) {
  const SegmentShape s{.tokens = p.tokens, .kv_heads = p.heads, .head_dim = p.head_dim, .kind = p.kind};
  const auto real = realistic(s, 1);
  std::vector<std::vector<std::byte>> all = {bf16(real), random_bytes(2 * p.values(), 2),
                                             std::vector<std::byte>(2 * p.values())};
  auto sparse = real, wild = real, tiny = real;
  for (std::size_t i = 0; i < real.size(); ++i) {
    if (i % 5) sparse[i] = 0;
    if (i % 4099 == 7) wild[i] = i % 2 ? INFINITY : NAN;
    tiny[i] *= 0x1p-128F;
  }
  for (const auto& v : {sparse, wild, tiny}) all.push_back(bf16(v));
  return all;
}

std::vector<PartShape> shapes() {
  std::vector<PartShape> all;
  for (const auto& [tokens, heads, dim] : {std::tuple{1U, 1U, 2U},
                                           {3U, 1U, 6U},
                                           {7U, 3U, 30U},
                                           {64U, 1U, 64U},
                                           {97U, 2U, 80U},
                                           {33U, 8U, 128U},
                                           {300U, 8U, 128U},
                                           {2U, 64U, 128U},   // a row of one block
                                           {3U, 65U, 130U},   // of a block and a bit
                                           {2U, 100U, 256U},  // of several
                                           {5000U, 1U, 16U}})
    all.push_back({.tokens = tokens, .heads = heads, .head_dim = dim});
  return all;
}

template <class Fn>
void for_all(Fn&& fn) {
  for (const Which w : {Which::split4, Which::exp_rans})
    for (const PartShape& p : shapes()) {
      INFO((w == Which::split4 ? "split4, " : "exponent rANS, ") << p.tokens << " x " << p.width());
      for (const auto& content : contents(p)) fn(w, p, content);
    }
}

}  // namespace

TEST_CASE("lossless parts keep every bit, with the same bytes from every instruction set") {
  for_all([](Which w, const PartShape& p, const std::vector<std::byte>& content) {
    const Rows rows(p, content);
    const auto part = encode(w, Isa::scalar, p, rows);
    for (const Isa isa : supported_isas()) {
      INFO(name(isa));
      REQUIRE(make(w, isa)->lossless());
      REQUIRE(make(w, isa)->supports(p));
      REQUIRE(encode(w, isa, p, rows) == part);
      REQUIRE(decode(w, isa, p, part).value() == content);
    }
  });
}

TEST_CASE("lossless parts shrink what models make") {
  const PartShape p{.tokens = 512, .heads = 8, .head_dim = 128};
  const Rows rows(p, contents(p)[0]);
  const double raw = 2.0 * static_cast<double>(p.values());
  REQUIRE(raw / static_cast<double>(encode(Which::split4, Isa::scalar, p, rows).size()) > 1.32);
  REQUIRE(raw / static_cast<double>(encode(Which::exp_rans, Isa::scalar, p, rows).size()) > 1.42);
}

TEST_CASE("every exponent survives beside every base") {
  for (unsigned top = 0; top < 256; ++top) {
    const PartShape p{.tokens = 2, .heads = 1, .head_dim = 512};
    std::vector<std::byte> content(2 * p.values());
    for (unsigned i = 0; i < p.values(); ++i) {
      const auto v = static_cast<std::uint16_t>(std::min(top, i % 256) << 7 | (i * 40'503U & 0x807f));
      std::memcpy(content.data() + 2 * std::size_t{i}, &v, 2);
    }
    const Rows rows(p, content);
    for (const Isa isa : supported_isas())
      REQUIRE(decode(Which::split4, isa, p, encode(Which::split4, isa, p, rows)).value() == content);
  }
}

TEST_CASE("a lossless part cut short or extended is corrupt") {
  const PartShape p{.tokens = 20, .heads = 2, .head_dim = 48};
  for (const Which w : {Which::split4, Which::exp_rans})
    for (const auto& content : contents(p)) {
      auto part = encode(w, Isa::scalar, p, Rows(p, content));
      for (const Isa isa : supported_isas()) {
        for (std::size_t n = 0; n < part.size(); ++n) {
          const auto r = decode(w, isa, p, std::span(part).first(n));
          REQUIRE_FALSE(r);
          REQUIRE(r.error().code == Errc::data_corrupt);
        }
        part.push_back(std::byte{0});
        REQUIRE_FALSE(decode(w, isa, p, part));
        part.pop_back();
      }
    }
}

TEST_CASE("a flipped bit in a lossless part is refused or harmless, on every instruction set alike") {
  const PartShape p{.tokens = 12, .heads = 1, .head_dim = 48};
  for (const Which w : {Which::split4, Which::exp_rans})
    for (const auto& content : contents(p)) {
      auto part = encode(w, Isa::scalar, p, Rows(p, content));
      for (std::size_t bit = 0; bit < 8 * part.size(); ++bit) {
        part[bit / 8] ^= std::byte{1} << bit % 8;
        const auto expected = decode(w, Isa::scalar, p, part);
        for (const Isa isa : supported_isas()) {
          const auto r = decode(w, isa, p, part);
          REQUIRE(r.has_value() == expected.has_value());
          if (r) REQUIRE(*r == *expected);
          if (!r) REQUIRE(r.error().code == Errc::data_corrupt);
        }
        part[bit / 8] ^= std::byte{1} << bit % 8;
      }
    }
}

TEST_CASE("noise as a lossless part is refused or gives rows, and never more") {
  const PartShape p{.tokens = 9, .heads = 1, .head_dim = 64};
  for (const Which w : {Which::split4, Which::exp_rans}) {
    auto part = encode(w, Isa::scalar, p, Rows(p, contents(p)[0]));
    for (const Isa isa : supported_isas())
      for (std::uint32_t seed = 0; seed < 300; ++seed) {
        const auto noise = random_bytes(part.size(), seed);
        const auto keep = static_cast<std::ptrdiff_t>(seed % 48);
        auto bad = part;
        std::copy(noise.begin() + keep, noise.end(), bad.begin() + keep);
        const auto r = decode(w, isa, p, bad);
        if (!r) REQUIRE(r.error().code == Errc::data_corrupt);
      }
  }
}
