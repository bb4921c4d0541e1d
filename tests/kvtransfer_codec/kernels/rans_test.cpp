// The rANS kernels by themselves: tables, round trips, equal bytes on every instruction set, bytes nobody wrote.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <numeric>

#include "tests/kvtransfer_codec/symbols.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

struct Coded {
  std::vector<std::byte> states = std::vector<std::byte>(kRansStateBytes);
  std::vector<std::byte> bytes;
  bool operator==(const Coded&) const = default;
};

Coded encode(Isa isa, const RansTable& t, const Symbols& symbols) {
  Coded c;
  std::vector<std::byte> room(symbols.size() + kRansLanes + kCoderSlack);
  const std::size_t n =
      coder_kernels(isa).rans_encode(t, symbols.data(), symbols.size(), c.states.data(), room.data() + room.size());
  REQUIRE(n <= symbols.size() + kRansLanes);
  c.bytes.assign(room.end() - static_cast<std::ptrdiff_t>(n), room.end());
  return c;
}

/// Into and from allocations of the exact size, so that a sanitizer guards their ends.
bool decode(Isa isa, const RansTable& t, std::span<const std::byte> states, std::span<const std::byte> bytes,
            Symbols& symbols) {
  const auto exact = std::make_unique<std::byte[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  const RansBlock b{states.data(), exact.get(), bytes.size(), symbols.data(), symbols.size()};
  return coder_kernels(isa).rans_decode(t, &b, 1);
}

constexpr std::size_t kCounts[] = {1, 2, 63, 64, 65, 127, 128, 129, 1000, 4096, 20'000, 65'536};

}  // namespace

TEST_CASE("a rANS table's parts belong together") {
  for (const auto& [name, freqs] : tables()) {
    INFO(name);
    const RansTable t = rans_table(freqs).value();
    std::uint32_t cum = 0;
    for (std::size_t s = 0; s < freqs.size(); ++s) {
      REQUIRE(t.freq[s] == freqs[s]);
      REQUIRE(t.cum[s] == cum);
      for (std::uint32_t i = cum; i < cum + freqs[s]; ++i) REQUIRE(t.slot_symbol[i] == s);
      cum += freqs[s];
    }
    REQUIRE(t.freq[t.likeliest] == *std::ranges::max_element(freqs));
  }
}

TEST_CASE("a rANS table that nobody may send is corrupt") {
  using Freqs = std::vector<std::uint16_t>;
  for (const Freqs& bad : {Freqs{}, Freqs{256}, Freqs{256, 0}, Freqs{0, 256}, Freqs{128, 127}, Freqs{128, 129},
                           Freqs{255, 1, 0}, Freqs(17, 15), Freqs(16, 17), Freqs(16, 0), Freqs{65535, 257}}) {
    const auto t = rans_table(bad);
    REQUIRE_FALSE(t);
    REQUIRE(t.error().code == Errc::data_corrupt);
  }
}

TEST_CASE("the reciprocal of a frequency is at most one short, for every state an encoder divides") {
  for (std::uint32_t f = 1; f < 256; ++f) {
    const std::uint32_t rcp = std::min(65535U, 65536U / f);
    for (std::uint32_t x = 1; x < f << 8; ++x) {
      const std::uint32_t q = x * rcp >> 16;
      if (q != x / f && q + 1 != x / f) FAIL(x << " / " << f << " taken for " << q);
    }
  }
}

TEST_CASE("measured tables sum to 256, keep every symbol and cost little over the entropy") {
  std::mt19937 gen(1);
  for (std::size_t n = 2; n <= 16; ++n)
    for (int round = 0; round < 200; ++round) {
      std::vector<std::uint32_t> counts(n);
      for (auto& c : counts) c = round % 3 == 0 ? gen() % 3 : gen() >> gen() % 32;
      const RansTable t = rans_table_for(counts);
      REQUIRE(t.symbols == n);
      REQUIRE(std::accumulate(t.freq.begin(), t.freq.end(), 0) == 256);
      double cost = 0, entropy = 0;
      const double seen = std::accumulate(counts.begin(), counts.end(), 0.0);
      for (std::size_t s = 0; s < n; ++s) {
        REQUIRE(t.freq[s] >= 1);
        if (counts[s] == 0) continue;
        cost -= counts[s] / seen * std::log2(t.freq[s] / 256.0);
        entropy -= counts[s] / seen * std::log2(counts[s] / seen);
      }
      REQUIRE(cost <= entropy + 0.1);
    }
}

TEST_CASE("the Lloyd-Max tables are the Gaussian's masses between midpoints of the centroids") {
  const std::vector<std::vector<double>> centroids = {
      {.4528, 1.5104}, {.2451, .7560, 1.3439, 2.1519}, {.1284, .3880, .6568, .9423, 1.2562, 1.6180, 2.0690, 2.7326}};
  const auto below = [](double x) { return 0.5 * (1 + std::erf(x / std::sqrt(2.0))); };
  for (unsigned bits = 2; bits <= 4; ++bits) {
    const auto& c = centroids[bits - 2];
    const RansTable& t = lloyd_table(bits);
    REQUIRE(t.symbols == 1U << bits);
    double cost = 0, entropy = 0;
    for (std::size_t i = 0; i < c.size(); ++i) {
      const double from = i ? below((c[i - 1] + c[i]) / 2) : 0.5;
      const double to = i + 1 < c.size() ? below((c[i] + c[i + 1]) / 2) : 1.0;
      REQUIRE(std::abs(t.freq[i] - 256 * (to - from)) < 1.0);
      REQUIRE(t.freq[i] == t.freq[i + c.size()]);
      cost -= 2 * (to - from) * std::log2(t.freq[i] / 256.0);
      entropy -= 2 * (to - from) * std::log2(to - from);
    }
    REQUIRE(cost < entropy + 0.001);
  }
}

TEST_CASE("rANS reads back what it wrote, and every instruction set writes the same bytes") {
  for (const auto& [name, freqs] : tables())
    for (const std::size_t n : kCounts)
      for (const auto& [kind, symbols] : inputs(freqs, n)) {
        INFO(name << ", " << n << " symbols, " << kind);
        const RansTable t = rans_table(freqs).value();
        const Coded reference = encode(Isa::scalar, t, symbols);
        for (const Isa isa : supported_isas()) {
          INFO(sluice::kv::name(isa));
          REQUIRE(encode(isa, t, symbols) == reference);
          Symbols back(n, 99);
          REQUIRE(decode(isa, t, reference.states, reference.bytes, back));
          REQUIRE(back == symbols);
        }
      }
}

TEST_CASE("rANS comes within half a percent of what its table promises") {
  for (const auto& [name, freqs] : tables()) {
    INFO(name);
    const RansTable t = rans_table(freqs).value();
    const Symbols symbols = drawn(freqs, kMaxBlockSymbols, 5);
    double bits = 0;
    for (const std::uint8_t s : symbols) bits -= std::log2(t.freq[s] / 256.0);
    const Coded c = encode(Isa::scalar, t, symbols);
    REQUIRE(8.0 * static_cast<double>(c.bytes.size()) <= 1.005 * bits + 64 * 8);
  }
}

TEST_CASE("blocks decoded side by side are those decoded one by one") {
  const Freqs freqs = tables()[2].second;
  const RansTable t = rans_table(freqs).value();
  for (const Isa isa : supported_isas()) {
    std::vector<Coded> coded;
    std::vector<Symbols> in, out;
    for (const std::size_t n : {5000, 5000, 64, 9000, 1}) {
      in.push_back(drawn(freqs, n, static_cast<std::uint32_t>(n)));
      out.emplace_back(n);
      coded.push_back(encode(Isa::scalar, t, in.back()));
    }
    std::vector<RansBlock> blocks;
    for (std::size_t i = 0; i < in.size(); ++i)
      blocks.push_back(
          {coded[i].states.data(), coded[i].bytes.data(), coded[i].bytes.size(), out[i].data(), out[i].size()});
    REQUIRE(coder_kernels(isa).rans_decode(t, blocks.data(), blocks.size()));
    REQUIRE(in == out);
    for (RansBlock& b : blocks) {
      if (b.size == 0) continue;  // a single symbol fits in its lane
      --b.size;
      REQUIRE_FALSE(coder_kernels(isa).rans_decode(t, blocks.data(), blocks.size()));
      ++b.size;
    }
  }
}

TEST_CASE("rANS bytes cut short, extended or changed are refused alike by every instruction set") {
  for (const auto& [name, freqs] : tables()) {
    INFO(name);
    const RansTable t = rans_table(freqs).value();
    const Symbols symbols = drawn(freqs, 700, 3);
    Coded c = encode(Isa::scalar, t, symbols);
    Symbols a(symbols.size()), b(symbols.size());
    for (const Isa isa : supported_isas()) {
      for (std::size_t n = 0; n < c.bytes.size(); ++n)
        REQUIRE_FALSE(decode(isa, t, c.states, std::span(c.bytes).first(n), b));
      c.bytes.push_back(std::byte{0});
      REQUIRE_FALSE(decode(isa, t, c.states, c.bytes, b));
      c.bytes.pop_back();
      for (std::size_t bit = 0; bit < 8 * (kRansStateBytes + c.bytes.size()); ++bit) {
        std::byte& hit = bit / 8 < kRansStateBytes ? c.states[bit / 8] : c.bytes[bit / 8 - kRansStateBytes];
        hit ^= std::byte{1} << bit % 8;
        const bool expected = decode(Isa::scalar, t, c.states, c.bytes, a);
        REQUIRE(decode(isa, t, c.states, c.bytes, b) == expected);
        if (expected) REQUIRE(a == b);
        hit ^= std::byte{1} << bit % 8;
      }
    }
  }
}

TEST_CASE("noise through the rANS decoder gives only symbols of the table") {
  for (const auto& [name, freqs] : tables()) {
    const RansTable t = rans_table(freqs).value();
    for (const Isa isa : supported_isas())
      for (std::uint32_t seed = 0; seed < 50; ++seed) {
        const auto states = random_bytes(kRansStateBytes, seed), bytes = random_bytes(seed * 7, seed + 1);
        Symbols a(300, 0), b(300, 0);
        const bool expected = decode(Isa::scalar, t, states, bytes, a);
        REQUIRE(decode(isa, t, states, bytes, b) == expected);
        REQUIRE(std::ranges::all_of(b, [&](std::uint8_t s) { return s < t.symbols; }));
      }
  }
}
