// The coder kernels for AVX2. As on AVX-512, lanes are bytes: the low and the high byte of each state, 32 lanes a
// register; bytes of the stream are put in their places eight lanes at a time, by a table of shuffles.
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/bytes_avx2.h"
#include "kvtransfer/codec/kernels/coder_tables.h"

namespace sluice::kv {
namespace {
using namespace avx2;
#include "kvtransfer/codec/kernels/coder_generic.inl"

inline __m128i load8(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
inline __m256i spread(const std::array<std::uint8_t, 16>& a) {
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(a.data())));
}
/// 16-bit values of even and of odd lanes to their low and to their high bytes, in lane order.
inline __m256i low_of(__m256i even, __m256i odd) { return _mm256_or_si256(evens(even), _mm256_slli_epi16(odd, 8)); }
inline __m256i high_of(__m256i even, __m256i odd) {
  return _mm256_or_si256(odds(even), _mm256_andnot_si256(low_byte(), odd));
}

/// For each set of eight lanes: `spread` takes the next bytes of a stream to the lanes in the set, `gather` takes the
/// bytes of the lanes in the set to the end of eight bytes.
struct Shuffles {
  std::uint8_t spread[256][8], gather[256][8];
};
constexpr Shuffles kShuffles = [] {
  Shuffles s{};
  for (unsigned set = 0; set < 256; ++set) {
    unsigned seen = 0;
    const auto count = static_cast<unsigned>(std::popcount(set));
    for (unsigned i = 0; i < 8; ++i) s.gather[set][i] = 0x80;
    for (unsigned lane = 0; lane < 8; ++lane) {
      const bool in = set >> lane & 1;
      s.spread[set][lane] = static_cast<std::uint8_t>(in ? seen : 0x80);
      if (in) s.gather[set][8 - count + seen++] = static_cast<std::uint8_t>(lane);
    }
  }
  return s;
}();

/// 32 lanes.
struct Lanes {
  __m256i low, high;
  void load_states(const std::byte* p) {
    const __m256i a = load(p), b = load(p + 32);
    low = _mm256_permute4x64_epi64(_mm256_packus_epi16(evens(a), evens(b)), 0xd8);
    high = _mm256_permute4x64_epi64(_mm256_packus_epi16(odds(a), odds(b)), 0xd8);
  }
  void store_states(std::byte* p) const {
    const __m256i a = _mm256_unpacklo_epi8(low, high), b = _mm256_unpackhi_epi8(low, high);
    store(p, _mm256_permute2x128_si256(a, b, 0x20));
    store(p + 32, _mm256_permute2x128_si256(a, b, 0x31));
  }
};

struct EncodeTable {
  __m256i freq, cum, rcp_low, rcp_high;
  explicit EncodeTable(const RansTable& t)
      : freq(spread(t.freq)), cum(spread(t.cum)), rcp_low(spread(t.rcp_low)), rcp_high(spread(t.rcp_high)) {}
};

/// As push() of AVX-512: (x / f) * 256 + x % f + c, where the quotient by reciprocal is at most one short.
inline __m256i push(__m256i x, __m256i f, __m256i rcp, __m256i c) {
  const __m256i q = _mm256_mulhi_epu16(x, rcp);
  const __m256i rest = _mm256_sub_epi16(x, _mm256_mullo_epi16(q, f));
  const __m256i more = _mm256_andnot_si256(_mm256_cmpgt_epi16(f, rest), _mm256_sub_epi16(_mm256_set1_epi16(256), f));
  return _mm256_add_epi16(_mm256_add_epi16(_mm256_slli_epi16(q, 8), c), _mm256_add_epi16(rest, more));
}

/// Codes 32 symbols; bytes go downwards from p, which is returned.
inline std::byte* encode32(const EncodeTable& t, Lanes& x, __m256i symbols, std::byte* p) {
  const __m256i f = _mm256_shuffle_epi8(t.freq, symbols), c = _mm256_shuffle_epi8(t.cum, symbols);
  const __m256i rl = _mm256_shuffle_epi8(t.rcp_low, symbols), rh = _mm256_shuffle_epi8(t.rcp_high, symbols);
  const __m256i full = _mm256_cmpeq_epi8(_mm256_max_epu8(x.high, f), x.high);
  const std::uint32_t sets = bits(full);
  const __m128i quarters[2] = {_mm256_castsi256_si128(x.low), _mm256_extracti128_si256(x.low, 1)};
  for (int i = 3; i >= 0; --i) {
    const std::uint32_t set = sets >> 8 * i & 255;
    const __m128i eight = i % 2 ? _mm_unpackhi_epi64(quarters[i / 2], quarters[i / 2]) : quarters[i / 2];
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p - 8), _mm_shuffle_epi8(eight, load8(kShuffles.gather[set])));
    p -= _mm_popcnt_u32(set);
  }
  const __m256i low = _mm256_blendv_epi8(x.low, x.high, full), high = _mm256_andnot_si256(full, x.high);
  const __m256i even = push(low_of(low, high), evens(f), low_of(rl, rh), evens(c));
  const __m256i odd = push(high_of(low, high), odds(f), high_of(rl, rh), odds(c));
  x.low = low_of(even, odd);
  x.high = high_of(even, odd);
  return p;
}

std::size_t rans_encode(const RansTable& table, const std::uint8_t* symbols, std::size_t n, std::byte* states,
                        std::byte* end) {
  const EncodeTable t(table);
  Lanes a{_mm256_setzero_si256(), bytes_of(1)}, b = a;
  std::byte* p = end;
  const auto step = [&](const std::uint8_t* s) { p = encode32(t, a, load(s), encode32(t, b, load(s + 32), p)); };
  std::size_t i = n / 64 * 64;
  if (i < n) {
    std::uint8_t last[64];
    std::fill_n(last, 64, table.likeliest);
    std::copy(symbols + i, symbols + n, last);
    step(last);
  }
  while (i > 0) step(symbols + (i -= 64));
  a.store_states(states);
  b.store_states(states + 64);
  return static_cast<std::size_t>(end - p);
}

/// kBounds: symbols but the first, or more; those beyond the table's are never reached.
template <int kBounds>
struct DecodeTable {
  __m256i bound[kBounds], freq, cum;
  explicit DecodeTable(const RansTable& t) : freq(spread(t.freq)), cum(spread(t.cum)) {
    for (int s = 1; s <= kBounds; ++s)
      bound[s - 1] = bytes_of(static_cast<std::uint8_t>((s < static_cast<int>(t.symbols) ? t.cum[s] - 1 : 255) ^ 0x80));
  }
  /// The number of bounds that a slot is beyond.
  [[nodiscard]] __m256i symbols(__m256i slots) const {
    const __m256i s = _mm256_xor_si256(slots, bytes_of(0x80));
    __m256i count[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int i = 0; i < kBounds; ++i) count[i % 2] = _mm256_add_epi8(count[i % 2], _mm256_cmpgt_epi8(s, bound[i]));
    return _mm256_sub_epi8(_mm256_setzero_si256(), _mm256_add_epi8(count[0], count[1]));
  }
};

/// One step of 32 lanes; reads at most 32 bytes from p on and returns what follows those it took.
template <int kBounds>
inline const std::byte* decode32(const DecodeTable<kBounds>& t, Lanes& x, const std::byte* p, __m256i& symbols) {
  symbols = t.symbols(x.low);
  const __m256i f = _mm256_shuffle_epi8(t.freq, symbols);
  const __m256i above = _mm256_sub_epi8(x.low, _mm256_shuffle_epi8(t.cum, symbols));
  const __m256i even = _mm256_add_epi16(_mm256_mullo_epi16(evens(f), evens(x.high)), evens(above));
  const __m256i odd = _mm256_add_epi16(_mm256_mullo_epi16(odds(f), odds(x.high)), odds(above));
  x.low = low_of(even, odd);
  x.high = high_of(even, odd);
  const __m256i short_of = _mm256_cmpeq_epi8(x.high, _mm256_setzero_si256());
  const std::uint32_t sets = bits(short_of);
  __m128i eight[4];
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t set = sets >> 8 * i & 255;
    eight[i] = _mm_shuffle_epi8(load8(p), load8(kShuffles.spread[set]));
    p += _mm_popcnt_u32(set);
  }
  const __m256i bytes =
      _mm256_set_m128i(_mm_unpacklo_epi64(eight[2], eight[3]), _mm_unpacklo_epi64(eight[0], eight[1]));
  x.high = _mm256_blendv_epi8(x.high, x.low, short_of);
  x.low = _mm256_or_si256(_mm256_andnot_si256(short_of, x.low), bytes);
  return p;
}

template <int kBounds>
bool decode_block(const RansTable& table, const RansBlock& block) {
  const DecodeTable<kBounds> t(table);
  Lanes a, b;
  a.load_states(block.states);
  b.load_states(block.states + 64);
  const __m256i zero = _mm256_setzero_si256(), one = bytes_of(1);
  if (bits(_mm256_cmpeq_epi8(_mm256_min_epu8(a.high, b.high), zero)) != 0) return false;
  const std::byte* p = block.bytes;
  std::size_t left = block.size, count = block.count;
  std::uint8_t* out = block.symbols;
  const auto step = [&](std::uint8_t* to) {
    __m256i s0, s1;
    const std::byte* next = decode32(t, b, decode32(t, a, p, s0), s1);
    store(to, s0);
    store(to + 32, s1);
    const auto used = static_cast<std::size_t>(next - p);
    p = next;
    return used;
  };
  for (; left >= 64 && count >= 64; out += 64, count -= 64) left -= step(out);
  // The last bytes from a copy that may be read beyond them.
  std::byte pad[128] = {};
  if (left < 64) {
    if (left > 0) std::memcpy(pad, p, left);
    p = pad;
  }
  while (count > 0) {
    std::uint8_t last[64];
    const std::size_t n = std::min<std::size_t>(count, 64), used = step(last);
    if (used > left) return false;
    left -= used;
    std::memcpy(out, last, n);
    out += n;
    count -= n;
  }
  const __m256i high = _mm256_and_si256(_mm256_cmpeq_epi8(a.high, one), _mm256_cmpeq_epi8(b.high, one));
  const __m256i low = _mm256_cmpeq_epi8(_mm256_or_si256(a.low, b.low), zero);
  return left == 0 && bits(_mm256_and_si256(high, low)) == ~0U;
}

bool rans_decode(const RansTable& t, const RansBlock* blocks, std::size_t count) {
  const auto decode = t.symbols <= 4 ? decode_block<3> : t.symbols <= 8 ? decode_block<7> : decode_block<15>;
  return std::all_of(blocks, blocks + count, [&](const RansBlock& b) { return decode(t, b); });
}

std::size_t map_symbols(const SymbolMap& map, const std::uint8_t* in, std::size_t n, std::uint8_t* symbols,
                        std::byte* escapes) {
  // The map by its 16 rows of 16, of which few hold more than escapes: symbols are neighbours as a rule.
  const __m256i fifteen = bytes_of(15);
  __m256i row[16], high[16];
  std::size_t rows = 0, i = 0, count = 0;
  for (std::size_t r = 0; r < 16; ++r) {
    const std::uint8_t* at = map.to.data() + 16 * r;
    if (std::all_of(at, at + 16, [](std::uint8_t s) { return s == 15; })) continue;
    row[rows] = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
    high[rows++] = bytes_of(static_cast<std::uint8_t>(r));
  }
  for (; i + 32 <= n; i += 32) {
    const __m256i v = load(in + i);
    const __m256i low = _mm256_and_si256(v, fifteen), upper = _mm256_and_si256(_mm256_srli_epi16(v, 4), fifteen);
    __m256i s = fifteen;
    for (std::size_t r = 0; r < rows; ++r)
      s = _mm256_blendv_epi8(s, _mm256_shuffle_epi8(row[r], low), _mm256_cmpeq_epi8(upper, high[r]));
    store(symbols + i, s);
    for (std::uint32_t escaped = bits(_mm256_cmpeq_epi8(s, fifteen)); escaped; escaped &= escaped - 1)
      escapes[count++] = static_cast<std::byte>(in[i + static_cast<std::size_t>(std::countr_zero(escaped))]);
  }
  return count + map_symbols_generic(map, in + i, n - i, symbols + i, escapes + count);
}

bool unmap_symbols(const SymbolMap& map, std::uint8_t* symbols, std::size_t n, const std::byte* escapes,
                   std::size_t count) {
  const __m256i from = spread(map.from), fifteen = bytes_of(15);
  std::size_t i = 0, used = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i s = _mm256_and_si256(load(symbols + i), fifteen);
    store(symbols + i, _mm256_shuffle_epi8(from, s));
    std::uint32_t escaped = bits(_mm256_cmpeq_epi8(s, fifteen));
    if (static_cast<std::size_t>(_mm_popcnt_u32(escaped)) > count - used) return false;
    for (; escaped; escaped &= escaped - 1)
      symbols[i + static_cast<std::size_t>(std::countr_zero(escaped))] = static_cast<std::uint8_t>(escapes[used++]);
  }
  return unmap_symbols_generic(map, symbols + i, n - i, escapes + used, count - used);
}

}  // namespace

const CoderKernels kCoderAvx2 = {.isa = Isa::avx2,
                                 .rans_encode = rans_encode,
                                 .rans_decode = rans_decode,
                                 .count_symbols = count_symbols_generic,
                                 .map_symbols = map_symbols,
                                 .unmap_symbols = unmap_symbols,
                                 .pack4 = pack4_generic,
                                 .unpack4 = unpack4_generic,
                                 .largest = largest_generic};

}  // namespace sluice::kv
