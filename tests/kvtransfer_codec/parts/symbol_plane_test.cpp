// Symbol planes: round trips over levels, sizes and distributions, the size they promise, and bytes nobody wrote.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>

#include "tests/kvtransfer_codec/symbols.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

/// `together`: how many blocks are handed over at a time.
std::vector<std::byte> write(Isa isa, const PlaneSpec& spec, const Symbols& symbols, std::size_t together = 1) {
  std::vector<std::byte> out(max_plane_bytes(spec.levels, spec.total, spec.block_symbols));
  SymbolWriter w(coder_kernels(isa), spec, out.data());
  for (std::size_t at = 0; at < symbols.size(); at += together * spec.block_symbols)
    w.block(std::span(symbols).subspan(at, std::min(together * spec.block_symbols, symbols.size() - at)));
  REQUIRE(w.finish() <= out.size());
  out.resize(w.finish());
  return out;
}

Result<Symbols> read(Isa isa, const PlaneSpec& spec, std::span<const std::byte> plane, std::size_t together = 1) {
  const auto exact = std::make_unique<std::byte[]>(plane.size());
  std::copy(plane.begin(), plane.end(), exact.get());
  SLUICE_ASSIGN(auto r, SymbolReader::open(coder_kernels(isa), spec, {exact.get(), plane.size()}));
  const auto symbols = std::make_unique<std::uint8_t[]>(spec.total);
  for (std::size_t at = 0; at < spec.total; at += together * spec.block_symbols)
    SLUICE_TRY(r.block({symbols.get() + at, std::min(together * spec.block_symbols, spec.total - at)}));
  SLUICE_TRY(r.finish());
  return Symbols(symbols.get(), symbols.get() + spec.total);
}

Symbols bell(unsigned levels, std::size_t n, double width, std::uint32_t seed) {
  std::mt19937 gen(seed);
  std::normal_distribution<double> normal((levels - 1) / 2.0, width);
  Symbols s(n);
  for (auto& x : s) x = static_cast<std::uint8_t>(std::clamp(std::lround(normal(gen)), 0L, levels - 1L));
  return s;
}

std::vector<Symbols> samples(unsigned levels, std::size_t n) {
  Symbols spread(n), late(n);
  std::mt19937 gen(7);
  for (auto& s : spread) s = static_cast<std::uint8_t>(gen() % levels);
  for (std::size_t i = 0; i < n; ++i) late[i] = i < n / 2 ? 0 : spread[i];  // the first block says little of the others
  return {bell(levels, n, 2.0, 1),
          bell(levels, n, levels / 4.0, 2),
          spread,
          late,
          Symbols(n, 0),
          Symbols(n, static_cast<std::uint8_t>(levels - 1))};
}

template <class Fn>
void for_all(Fn&& fn) {
  for (const unsigned levels : {2U, 3U, 4U, 9U, 15U, 16U, 17U, 18U, 32U, 33U, 128U, 255U, 256U})
    for (const auto& [total, block] : {std::pair<std::size_t, std::uint32_t>{1, 1},
                                       {1, 65'536},
                                       {7, 2},
                                       {300, 100},
                                       {1024, 1024},
                                       {5000, 1024},
                                       {20'001, 4096},
                                       {140'000, 65'536}}) {
      const PlaneSpec spec{.levels = levels, .total = total, .block_symbols = block};
      for (const Symbols& symbols : samples(levels, total)) fn(spec, symbols);
    }
}

}  // namespace

TEST_CASE("a plane reads back what was written, the same on every instruction set") {
  for_all([](const PlaneSpec& spec, const Symbols& symbols) {
    INFO(spec.levels << " levels, " << spec.total << " symbols in blocks of " << spec.block_symbols);
    const auto plane = write(Isa::scalar, spec, symbols);
    for (const Isa isa : supported_isas()) {
      REQUIRE(write(isa, spec, symbols, 3) == plane);
      REQUIRE(read(isa, spec, plane).value() == symbols);
      REQUIRE(read(isa, spec, plane, 3).value() == symbols);
    }
  });
}

TEST_CASE("planes with a table or a map of the caller's read back") {
  for (const Isa isa : supported_isas()) {
    for (unsigned bits = 2; bits <= 4; ++bits) {
      const RansTable& t = lloyd_table(bits);
      const Freqs freqs(t.freq.begin(), t.freq.begin() + t.symbols);
      const PlaneSpec spec{.levels = t.symbols, .total = 100'000, .block_symbols = kMaxBlockSymbols, .fixed = &t};
      const Symbols symbols = drawn(freqs, spec.total, bits);
      const auto plane = write(isa, spec, symbols);
      // 1.911, 2.825 and 3.765 bits are the entropies.
      const double bound[] = {1.911, 2.825, 3.765};
      REQUIRE(8.0 * static_cast<double>(plane.size()) / 100'000 < 1.016 * bound[bits - 2]);
      REQUIRE(read(isa, spec, plane).value() == symbols);
    }
    const SymbolMap map = window_map(100);
    const PlaneSpec spec{.levels = 256, .total = 50'000, .block_symbols = 8192, .map = &map};
    Symbols symbols = bell(16, spec.total, 2.0, 9);
    for (auto& s : symbols) s = static_cast<std::uint8_t>(s + 100);
    symbols[5] = 0, symbols[49'999] = 255;
    const auto plane = write(isa, spec, symbols);
    REQUIRE(plane.size() < spec.total / 2);
    REQUIRE(read(isa, spec, plane).value() == symbols);
  }
}

TEST_CASE("a plane is never larger than packed symbols and a directory") {
  for_all([](const PlaneSpec& spec, const Symbols& symbols) {
    const std::size_t packed = spec.levels <= 16 ? (spec.total + 1) / 2 : spec.total;
    const std::size_t most = max_plane_bytes(spec.levels, spec.total, spec.block_symbols);
    REQUIRE(write(Isa::scalar, spec, symbols).size() <= most);
    REQUIRE(most <= packed + spec.blocks() + spec.prefix_bytes());  // a block of odd length pads four bits
  });
}

TEST_CASE("a plane cut short or extended is corrupt at every length") {
  for (const unsigned levels : {16U, 33U}) {
    const PlaneSpec spec{.levels = levels, .total = 2500, .block_symbols = 1000};
    auto plane = write(Isa::scalar, spec, bell(levels, spec.total, 2.5, 3));
    for (const Isa isa : supported_isas()) {
      for (std::size_t n = 0; n < plane.size(); ++n) {
        const auto r = read(isa, spec, std::span(plane).first(n));
        REQUIRE_FALSE(r);
        REQUIRE(r.error().code == Errc::data_corrupt);
      }
      plane.push_back(std::byte{0});
      REQUIRE_FALSE(read(isa, spec, plane));
      plane.pop_back();
    }
  }
}

TEST_CASE("a flipped bit in a plane is refused or gives symbols within the levels, on every instruction set alike") {
  for (const unsigned levels : {3U, 16U, 33U, 200U})
    for (const double width : {1.0, levels / 3.0}) {
      const PlaneSpec spec{.levels = levels, .total = 900, .block_symbols = 500};
      auto plane = write(Isa::scalar, spec, bell(levels, spec.total, width, 4));
      for (std::size_t bit = 0; bit < 8 * plane.size(); ++bit) {
        plane[bit / 8] ^= std::byte{1} << bit % 8;
        const auto expected = read(Isa::scalar, spec, plane);
        for (const Isa isa : supported_isas()) {
          const auto r = read(isa, spec, plane, 2);
          REQUIRE(r.has_value() == expected.has_value());
          if (!r) {
            REQUIRE(r.error().code == Errc::data_corrupt);
            continue;
          }
          REQUIRE(*r == *expected);
          REQUIRE(std::ranges::all_of(*r, [&](std::uint8_t s) { return s < levels; }));
        }
        plane[bit / 8] ^= std::byte{1} << bit % 8;
      }
    }
}

TEST_CASE("hostile tables, lengths and escape counts are corrupt") {
  const PlaneSpec spec{.levels = 40, .total = 4000, .block_symbols = 4000};
  const auto plane = write(Isa::scalar, spec, bell(40, spec.total, 2.5, 3));
  const auto with = [&](std::size_t at, std::uint32_t value, std::size_t bytes) {
    auto bad = plane;
    std::memcpy(bad.data() + at, &value, bytes);
    return read(supported_isas().back(), spec, bad);
  };
  REQUIRE(read(supported_isas().back(), spec, plane));
  for (const std::uint32_t f : {0U, 255U}) REQUIRE_FALSE(with(5, f == static_cast<unsigned>(plane[5]) ? 1 : f, 1));
  const auto length = static_cast<std::uint32_t>(plane.size() - 20);
  for (const std::uint32_t l : {0U, 1U, length - 1, length + 1, length | 1U << 31, 4000U | 1U << 31, ~0U, 1U << 31})
    REQUIRE_FALSE(with(16, l, 4));
  for (const std::uint32_t e : {4001U, length, ~0U, 1U << 31}) REQUIRE_FALSE(with(20 + kRansStateBytes, e, 4));
}

TEST_CASE("a reader gives no more blocks than the plane has, and finish() misses those not read") {
  const PlaneSpec spec{.levels = 16, .total = 2000, .block_symbols = 1000};
  const auto plane = write(Isa::scalar, spec, bell(16, spec.total, 2.5, 3));
  auto r = SymbolReader::open(coder_kernels(Isa::scalar), spec, plane).value();
  Symbols s(1000);
  REQUIRE(r.block(s));
  REQUIRE_FALSE(r.finish());
  REQUIRE_FALSE(r.block(std::span(s).first(999)));
}
