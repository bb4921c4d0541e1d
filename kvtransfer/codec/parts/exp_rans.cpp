// The exponents of a part through rANS, one symbol plane; signs and mantissas as they are.
#include <algorithm>
#include <numeric>

#include "kvtransfer/codec/kernels/exponents.h"
#include "kvtransfer/codec/kernels/prefetch.h"
#include "kvtransfer/codec/parts/lossless.h"
#include "kvtransfer/codec/parts/symbol_plane.h"

namespace sluice::kv {
namespace {

// Part of n values: 15 exponents, rising, and a zero byte | 16 frequencies - 1 | n bytes of sign and mantissa | plane.
constexpr std::size_t kHeaderBytes = 32;
constexpr std::uint32_t kBlockValues = 32'768;
constexpr std::size_t kTogether = 2 * kBlockValues;  // blocks are decoded two by two
constexpr std::size_t kAhead = 4;                    // rows asked for before their turn

using Histogram = std::array<std::uint32_t, 256>;

/// Calls fn(row, column, n, done) for the values from `first` on, row by row; done: values of the calls before.
template <class Fn>
void each_piece(std::size_t width, std::size_t first, std::size_t count, Fn&& fn) {
  for (std::size_t done = 0; done < count;) {
    const std::size_t row = (first + done) / width, column = (first + done) % width;
    const std::size_t n = std::min(width - column, count - done);
    fn(row, 2 * column, n, done);
    done += n;
  }
}

PlaneSpec plane_of(const PartShape& p, const RansTable& table, const SymbolMap& map) {
  return {.levels = 256, .total = p.values(), .block_symbols = kBlockValues, .fixed = &table, .map = &map};
}

SymbolMap map_for(std::span<const std::uint8_t> exponents) {
  SymbolMap m;
  m.to.fill(15);
  for (std::size_t s = 0; s < 15; ++s) {
    m.to[exponents[s]] = static_cast<std::uint8_t>(s);
    m.from[s] = exponents[s];
  }
  return m;
}

/// The 15 most frequent, rising.
std::array<std::uint8_t, 15> most_frequent(const Histogram& h) {
  std::array<std::uint8_t, 256> order;
  std::iota(order.begin(), order.end(), std::uint8_t{0});
  // Ties go to the lower byte: every build makes the same table.
  std::ranges::sort(order, [&](std::uint8_t a, std::uint8_t b) { return h[a] != h[b] ? h[a] > h[b] : a < b; });
  std::array<std::uint8_t, 15> top;
  std::copy_n(order.begin(), 15, top.begin());
  std::ranges::sort(top);
  return top;
}

class ExpRans final : public PartCodec {
 public:
  explicit ExpRans(Isa isa) : coder_(coder_kernels(isa)), exponents_(exponent_kernels(isa)) {}
  bool lossless() const noexcept override { return true; }
  bool supports(const PartShape& p) const noexcept override { return p.values() > 0 && p.head_dim % 2 == 0; }
  std::size_t max_bytes(const PartShape& p) const noexcept override {
    return kHeaderBytes + p.values() + max_plane_bytes(256, p.values(), kBlockValues);
  }

  std::size_t encode(const PartShape& p, PartRowsIn rows, std::byte* out, CodecScratch& scratch) const override {
    std::uint8_t* exponents = room(scratch);
    std::byte* rest = out + kHeaderBytes;
    const Histogram h = sample(p, rows, exponents, rest);
    const auto top = most_frequent(h);
    const SymbolMap map = map_for(top);
    std::array<std::uint32_t, 16> counts{};
    for (std::size_t e = 0; e < 256; ++e) counts[map.to[e]] += h[e];
    const RansTable table = rans_table_for(counts);
    for (std::size_t s = 0; s < 16; ++s) {
      out[s] = s < 15 ? static_cast<std::byte>(top[s]) : std::byte{0};
      out[16 + s] = static_cast<std::byte>(table.freq[s] - 1);
    }

    SymbolWriter writer(coder_, plane_of(p, table, map), rest + p.values());
    for (std::size_t at = 0; at < p.values(); at += kTogether) {
      const std::size_t now = std::min(kTogether, p.values() - at);
      each_piece(p.width(), at, now, [&](std::size_t row, std::size_t from, std::size_t n, std::size_t done) {
        if (row + kAhead < p.tokens) prefetch(rows[row + kAhead] + from, 2 * n);
        exponents_.exponent_split(rows[row] + from, n, exponents + done, rest + at + done);
      });
      writer.block({exponents, now});
    }
    return kHeaderBytes + p.values() + writer.finish();
  }

  Result<> decode(const PartShape& p, std::span<const std::byte> in, PartRowsOut rows,
                  CodecScratch& scratch) const override {
    if (in.size() < kHeaderBytes + p.values())
      return fail(Errc::data_corrupt, "an exponent-rANS part of only {} bytes", in.size());
    std::array<std::uint8_t, 15> top;
    std::array<std::uint16_t, 16> freqs;
    for (std::size_t s = 0; s < 15; ++s) top[s] = static_cast<std::uint8_t>(in[s]);
    for (std::size_t s = 0; s < 16; ++s)
      freqs[s] = static_cast<std::uint16_t>(static_cast<std::uint16_t>(in[16 + s]) + 1);
    const bool rising = std::ranges::adjacent_find(top, std::greater_equal<>{}) == top.end();
    if (!rising || in[15] != std::byte{0})
      return fail(Errc::data_corrupt, "an exponent-rANS part's exponents do not rise");
    SLUICE_ASSIGN(const RansTable table, rans_table(freqs));
    const SymbolMap map = map_for(top);

    const std::byte* rest = in.data() + kHeaderBytes;
    SLUICE_ASSIGN(auto reader,
                  SymbolReader::open(coder_, plane_of(p, table, map), in.subspan(kHeaderBytes + p.values())));
    std::uint8_t* exponents = room(scratch);
    for (std::size_t at = 0; at < p.values(); at += kTogether) {
      const std::size_t now = std::min(kTogether, p.values() - at);
      SLUICE_TRY(reader.block({exponents, now}));
      each_piece(p.width(), at, now, [&](std::size_t row, std::size_t from, std::size_t n, std::size_t done) {
        prefetch(rest + at + done + kTogether / 8, n);
        exponents_.exponent_join(exponents + done, rest + at + done, n, rows[row] + from);
      });
    }
    return reader.finish();
  }

 private:
  static std::uint8_t* room(CodecScratch& scratch) {
    scratch.bytes.resize(std::max(scratch.bytes.size(), kTogether));
    return reinterpret_cast<std::uint8_t*>(scratch.bytes.data());
  }

  /// Exponents of about a sixteenth of the part (at least 8,192 and at most 65,536 values), from rows all over it.
  /// Uses exponents[kBlockValues] and rest[values] for its work.
  Histogram sample(const PartShape& p, PartRowsIn rows, std::uint8_t* exponents, std::byte* rest) const {
    const std::size_t wanted = std::clamp<std::size_t>(p.values() / 16, 8192, 65'536);
    const std::size_t count = std::clamp<std::size_t>(wanted / p.width(), 1, p.tokens);
    std::array<Histogram, 4> part{};
    for (std::size_t i = 0; i < count; ++i) {
      const std::byte* row = rows[i * p.tokens / count];
      for (std::size_t from = 0; from < p.width(); from += kBlockValues) {
        const std::size_t n = std::min<std::size_t>(kBlockValues, p.width() - from);
        exponents_.exponent_split(row + 2 * from, n, exponents, rest);
        for (std::size_t j = 0; j < n; ++j) ++part[j % 4][exponents[j]];
      }
    }
    for (std::size_t e = 0; e < 256; ++e) part[0][e] += part[1][e] + part[2][e] + part[3][e];
    return part[0];
  }

  const CoderKernels& coder_;
  const ExponentKernels& exponents_;
};

}  // namespace

std::unique_ptr<PartCodec> make_exp_rans_part(Isa isa) { return std::make_unique<ExpRans>(isa); }

}  // namespace sluice::kv
