// The coder kernels for AVX-512 with VBMI and VBMI2. 64 lanes are two registers of bytes: the low and the high byte of
// each lane's state, so that bytes of the stream come and go in lane order with one compress or expand.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/bytes_avx512.h"
#include "kvtransfer/codec/kernels/coder_tables.h"

namespace sluice::kv {
namespace {
using namespace avx512;
#include "kvtransfer/codec/kernels/coder_generic.inl"

inline __m512i spread(const std::array<std::uint8_t, 16>& a) {
  return _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(a.data())));
}

/// 256 bytes, looked up by 64 indices.
struct ByteTable {
  __m512i a, b, c, d;
  explicit ByteTable(const std::array<std::uint8_t, 256>& t)
      : a(load(t.data())), b(load(t.data() + 64)), c(load(t.data() + 128)), d(load(t.data() + 192)) {}
  [[nodiscard]] __m512i at(__m512i i) const {
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(i), _mm512_permutex2var_epi8(a, i, b),
                                  _mm512_permutex2var_epi8(c, i, d));
  }
};

struct Lanes {
  __m512i low, high;
  void load_states(const std::byte* p) {
    const __m512i a = load(p), b = load(p + 64), byte = _mm512_set1_epi16(0xff);
    // The inverse of store_states(): 16-bit lanes to bytes, in order.
    low = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(_mm512_and_si512(a, byte))),
                             _mm512_cvtepi16_epi8(_mm512_and_si512(b, byte)), 1);
    high = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(_mm512_srli_epi16(a, 8))),
                              _mm512_cvtepi16_epi8(_mm512_srli_epi16(b, 8)), 1);
  }
  void store_states(std::byte* p) const {
    const auto half = [&](__m256i l, __m256i h) {
      return _mm512_or_si512(_mm512_cvtepu8_epi16(l), _mm512_slli_epi16(_mm512_cvtepu8_epi16(h), 8));
    };
    store(p, half(_mm512_castsi512_si256(low), _mm512_castsi512_si256(high)));
    store(p + 64, half(_mm512_extracti64x4_epi64(low, 1), _mm512_extracti64x4_epi64(high, 1)));
  }
};

class Encoder {
 public:
  Encoder(const RansTable& t, std::byte* end)
      : freq_(spread(t.freq)),
        cum_(spread(t.cum)),
        rcp_low_(spread(t.rcp_low)),
        rcp_high_(spread(t.rcp_high)),
        p_(end) {
    lanes_.low = _mm512_setzero_si512();
    lanes_.high = _mm512_set1_epi8(1);
  }

  void step(__m512i symbols) {
    const __m512i byte = _mm512_set1_epi16(0xff);
    const __m512i f = _mm512_shuffle_epi8(freq_, symbols), c = _mm512_shuffle_epi8(cum_, symbols);
    const __m512i rl = _mm512_shuffle_epi8(rcp_low_, symbols), rh = _mm512_shuffle_epi8(rcp_high_, symbols);
    // Lanes that would grow beyond 16 bits give up their low byte.
    const __mmask64 full = _mm512_cmpge_epu8_mask(lanes_.high, f);
    emit(_mm512_maskz_compress_epi8(full, lanes_.low), static_cast<unsigned>(_mm_popcnt_u64(full)));
    const __m512i low = _mm512_mask_mov_epi8(lanes_.low, full, lanes_.high);
    const __m512i high = _mm512_maskz_mov_epi8(~full, lanes_.high);
    const __m512i even = push(select(byte, low, _mm512_slli_epi16(high, 8)), _mm512_and_si512(f, byte),
                              select(byte, rl, _mm512_slli_epi16(rh, 8)), _mm512_and_si512(c, byte));
    const __m512i odd = push(select(byte, _mm512_srli_epi16(low, 8), high), _mm512_srli_epi16(f, 8),
                             select(byte, _mm512_srli_epi16(rl, 8), rh), _mm512_srli_epi16(c, 8));
    lanes_.low = select(byte, even, _mm512_slli_epi16(odd, 8));
    lanes_.high = select(byte, _mm512_srli_epi16(even, 8), odd);
  }

  std::byte* finish(std::byte* states) const {
    lanes_.store_states(states);
    return p_;
  }

 private:
  /// (x / f) * 256 + x % f + c. The quotient by reciprocal is at most one short.
  static __m512i push(__m512i x, __m512i f, __m512i rcp, __m512i c) {
    const __m512i q = _mm512_mulhi_epu16(x, rcp);
    const __m512i rest = _mm512_sub_epi16(x, _mm512_mullo_epi16(q, f));
    const __m512i y = _mm512_add_epi16(_mm512_add_epi16(_mm512_slli_epi16(q, 8), c), rest);
    return _mm512_mask_add_epi16(y, _mm512_cmpge_epu16_mask(rest, f), y, _mm512_sub_epi16(_mm512_set1_epi16(256), f));
  }

  /// The first n bytes, to right before p_. 64 are written: what is below is the caller's slack or overwritten later.
  void emit(__m512i bytes, unsigned n) {
    alignas(64) static constexpr auto turn = [] {
      std::array<std::uint8_t, 128> t{};
      for (unsigned i = 0; i < 128; ++i) t[i] = static_cast<std::uint8_t>(i % 64);
      return t;
    }();
    store(p_ - 64, _mm512_permutexvar_epi8(load(turn.data() + n), bytes));
    p_ -= n;
  }

  __m512i freq_, cum_, rcp_low_, rcp_high_;
  Lanes lanes_;
  std::byte* p_;
};

std::size_t rans_encode(const RansTable& t, const std::uint8_t* symbols, std::size_t n, std::byte* states,
                        std::byte* end) {
  Encoder e(t, end);
  std::size_t i = n / 64 * 64;
  if (i < n)
    e.step(_mm512_mask_loadu_epi8(_mm512_set1_epi8(static_cast<char>(t.likeliest)), first(n - i), symbols + i));
  while (i > 0) e.step(load(symbols + (i -= 64)));
  return static_cast<std::size_t>(end - e.finish(states));
}

struct DecodeTable {
  ByteTable symbol;
  __m512i freq, cum;
  explicit DecodeTable(const RansTable& t) : symbol(t.slot_symbol), freq(spread(t.freq)), cum(spread(t.cum)) {}
};

/// One step of 64 lanes: gives their symbols, and takes from the 64 bytes at p those that it returns the number of.
inline unsigned pop(const DecodeTable& t, Lanes& x, const std::byte* p, __m512i& symbols) {
  const __m512i byte = _mm512_set1_epi16(0xff);
  symbols = t.symbol.at(x.low);
  const __m512i f = _mm512_shuffle_epi8(t.freq, symbols);
  const __m512i above = _mm512_sub_epi8(x.low, _mm512_shuffle_epi8(t.cum, symbols));
  const __m512i even = _mm512_add_epi16(_mm512_mullo_epi16(_mm512_and_si512(f, byte), _mm512_and_si512(x.high, byte)),
                                        _mm512_and_si512(above, byte));
  const __m512i odd = _mm512_add_epi16(_mm512_mullo_epi16(_mm512_srli_epi16(f, 8), _mm512_srli_epi16(x.high, 8)),
                                       _mm512_srli_epi16(above, 8));
  x.low = select(byte, even, _mm512_slli_epi16(odd, 8));
  x.high = select(byte, _mm512_srli_epi16(even, 8), odd);
  const __mmask64 short_of = _mm512_testn_epi8_mask(x.high, x.high);
  x.high = _mm512_mask_mov_epi8(x.high, short_of, x.low);
  x.low = _mm512_mask_expand_epi8(x.low, short_of, load(p));
  return static_cast<unsigned>(_mm_popcnt_u64(short_of));
}

/// One block, as far as it is decoded.
struct Stream {
  Lanes x;
  const std::byte* p;
  std::size_t left;  // bytes
  std::uint8_t* out;
  std::size_t count;  // symbols to come

  explicit Stream(const RansBlock& b) : p(b.bytes), left(b.size), out(b.symbols), count(b.count) {
    x.load_states(b.states);
  }
  [[nodiscard]] bool whole() const { return left >= 64 && count >= 64; }
  void step(const DecodeTable& t) {
    __m512i symbols;
    const unsigned used = pop(t, x, p, symbols);
    store(out, symbols);
    p += used;
    left -= used;
    out += 64;
    count -= 64;
  }
  /// To the block's end, the last bytes from a copy that may be read beyond them.
  bool finish(const DecodeTable& t) {
    while (whole()) step(t);
    alignas(64) std::byte pad[128] = {};
    const bool near = left < 64;
    if (near) {
      _mm512_mask_storeu_epi8(pad, first(left), _mm512_maskz_loadu_epi8(first(left), p));
      p = pad;
    }
    while (count > 0) {
      __m512i symbols;
      const unsigned used = pop(t, x, p, symbols);
      if (used > left) return false;
      const std::size_t n = std::min<std::size_t>(count, 64);
      _mm512_mask_storeu_epi8(out, first(n), symbols);
      p += used;
      left -= used;
      out += n;
      count -= n;
    }
    return left == 0 && _mm512_test_epi8_mask(x.low, x.low) == 0 &&
           _mm512_cmpneq_epi8_mask(x.high, _mm512_set1_epi8(1)) == 0;
  }
};

bool legal(const Lanes& x) { return _mm512_testn_epi8_mask(x.high, x.high) == 0; }

bool rans_decode(const RansTable& table, const RansBlock* blocks, std::size_t count) {
  const DecodeTable t(table);
  for (; count >= 2; blocks += 2, count -= 2) {
    // Each step waits for the one before: two blocks fill each other's waits.
    Stream a(blocks[0]), b(blocks[1]);
    if (!legal(a.x) || !legal(b.x)) return false;
    while (a.whole() && b.whole()) {
      a.step(t);
      b.step(t);
    }
    if (!a.finish(t) || !b.finish(t)) return false;
  }
  if (count == 0) return true;
  Stream a(blocks[0]);
  return legal(a.x) && a.finish(t);
}

void count_symbols(const std::uint8_t* symbols, std::size_t n, std::uint32_t counts[16]) {
  std::uint64_t c[16] = {};
  for (std::size_t i = 0; i < n; i += 64) {
    const __mmask64 some = first(std::min<std::size_t>(64, n - i));
    const __m512i v = _mm512_maskz_loadu_epi8(some, symbols + i);
    for (int s = 0; s < 16; ++s)
      c[s] += static_cast<std::uint64_t>(
          _mm_popcnt_u64(_mm512_mask_cmpeq_epi8_mask(some, v, _mm512_set1_epi8(static_cast<char>(s)))));
  }
  for (int s = 0; s < 16; ++s) counts[s] = static_cast<std::uint32_t>(c[s]);
}

std::size_t map_symbols(const SymbolMap& map, const std::uint8_t* in, std::size_t n, std::uint8_t* symbols,
                        std::byte* escapes) {
  const ByteTable to(map.to);
  const std::byte* begin = escapes;
  for (std::size_t i = 0; i < n; i += 64) {
    const __mmask64 some = first(std::min<std::size_t>(64, n - i));
    const __m512i v = _mm512_maskz_loadu_epi8(some, in + i);
    const __m512i s = to.at(v);
    _mm512_mask_storeu_epi8(symbols + i, some, s);
    const __mmask64 escaped = _mm512_mask_cmpeq_epi8_mask(some, s, _mm512_set1_epi8(15));
    store(escapes, _mm512_maskz_compress_epi8(escaped, v));
    escapes += _mm_popcnt_u64(escaped);
  }
  return static_cast<std::size_t>(escapes - begin);
}

bool unmap_symbols(const SymbolMap& map, std::uint8_t* symbols, std::size_t n, const std::byte* escapes,
                   std::size_t count) {
  const __m512i from = spread(map.from), fifteen = _mm512_set1_epi8(15);
  for (std::size_t i = 0; i < n; i += 64) {
    const __mmask64 some = first(std::min<std::size_t>(64, n - i));
    const __m512i s = _mm512_and_si512(_mm512_maskz_loadu_epi8(some, symbols + i), fifteen);
    __m512i v = _mm512_shuffle_epi8(from, s);
    const __mmask64 escaped = _mm512_cmpeq_epi8_mask(s, fifteen);
    if (escaped) {
      const auto used = static_cast<std::size_t>(_mm_popcnt_u64(escaped));
      if (used > count) return false;
      v = _mm512_mask_expand_epi8(v, escaped, _mm512_maskz_loadu_epi8(first(used), escapes));
      escapes += used;
      count -= used;
    }
    _mm512_mask_storeu_epi8(symbols + i, some, v);
  }
  return count == 0;
}

}  // namespace

const CoderKernels kCoderAvx512 = {.isa = Isa::avx512,
                                   .rans_encode = rans_encode,
                                   .rans_decode = rans_decode,
                                   .count_symbols = count_symbols,
                                   .map_symbols = map_symbols,
                                   .unmap_symbols = unmap_symbols,
                                   .pack4 = pack4_generic,
                                   .unpack4 = unpack4_generic,
                                   .largest = largest_generic};

}  // namespace sluice::kv
