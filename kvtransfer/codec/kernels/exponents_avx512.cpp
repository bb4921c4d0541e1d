// The exponent kernels for AVX-512 with VBMI and VBMI2.
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/bytes_avx512.h"
#include "kvtransfer/codec/kernels/coder_tables.h"

namespace sluice::kv {
namespace {
using namespace avx512;
#include "kvtransfer/codec/kernels/exponents_generic.inl"

template <bool kStream>
inline void put(std::byte* p, __m512i v) {
  if constexpr (kStream)
    stream(p, v);
  else
    store(p, v);
}

std::uint8_t exponent_largest(const std::byte* values, std::size_t n) {
  __m512i m = _mm512_setzero_si512(), m2 = m;
  std::size_t i = 0;
  const __m512i abs = _mm512_set1_epi16(0x7fff);
  for (; i + 64 <= n; i += 64) {
    m = _mm512_max_epu16(m, _mm512_and_si512(load(values + 2 * i), abs));
    m2 = _mm512_max_epu16(m2, _mm512_and_si512(load(values + 2 * i + 64), abs));
  }
  for (; i < n; i += 32) {
    const auto some = static_cast<__mmask32>(first(std::min<std::size_t>(32, n - i)));
    m = _mm512_max_epu16(m, _mm512_and_si512(_mm512_maskz_loadu_epi16(some, values + 2 * i), abs));
  }
  m = _mm512_max_epu16(m, m2);
  m = _mm512_max_epu32(_mm512_slli_epi32(m, 16), _mm512_and_si512(m, _mm512_set1_epi32(0x7fff0000)));
  return static_cast<std::uint8_t>(_mm512_reduce_max_epu32(m) >> 23);
}

/// 64 values, in two registers, to bytes and back.
struct Halves {
  alignas(64) static constexpr auto kLow = [] {
    std::array<std::uint8_t, 64> t{};
    for (unsigned i = 0; i < 64; ++i) t[i] = static_cast<std::uint8_t>(2 * i);
    return t;
  }();
  alignas(64) static constexpr auto kHigh = [] {
    std::array<std::uint8_t, 64> t{};
    for (unsigned i = 0; i < 64; ++i) t[i] = static_cast<std::uint8_t>(2 * i + 1);
    return t;
  }();
  alignas(64) static constexpr auto kPairs = [] {  // low and high bytes alternate
    std::array<std::uint8_t, 128> t{};
    for (unsigned i = 0; i < 128; ++i) t[i] = static_cast<std::uint8_t>(i / 2 + (i % 2 ? 64 : 0));
    return t;
  }();

  static void split(__m512i a, __m512i b, __m512i& exponents, __m512i& rest) {
    const __m512i odd = load(kHigh.data());
    const __m512i high = _mm512_permutex2var_epi8(a, odd, b);
    const __m512i low = _mm512_permutex2var_epi8(a, load(kLow.data()), b);
    exponents = _mm512_permutex2var_epi8(_mm512_slli_epi16(a, 1), odd, _mm512_slli_epi16(b, 1));
    rest = select(_mm512_set1_epi8(static_cast<char>(0x80)), high, low);
  }
  static void join(__m512i exponents, __m512i rest, __m512i& a, __m512i& b) {
    const __m512i sign = _mm512_set1_epi8(static_cast<char>(0x80));
    const __m512i high = select(sign, rest, _mm512_srli_epi16(exponents, 1));
    const __m512i low = select(sign, _mm512_slli_epi16(exponents, 7), rest);
    a = _mm512_permutex2var_epi8(low, load(kPairs.data()), high);
    b = _mm512_permutex2var_epi8(low, load(kPairs.data() + 64), high);
  }
};

/// The two registers of up to 64 values, and the masks to reach them.
struct Piece {
  __mmask64 bytes;
  __mmask32 a, b;
  explicit Piece(std::size_t n)
      : bytes(first(n)), a(static_cast<__mmask32>(bytes)), b(static_cast<__mmask32>(bytes >> 32)) {}
  void read(const std::byte* p, __m512i& x, __m512i& y) const {
    x = _mm512_maskz_loadu_epi16(a, p);
    y = _mm512_maskz_loadu_epi16(b, p + 64);
  }
  void write(std::byte* p, __m512i x, __m512i y) const {
    _mm512_mask_storeu_epi16(p, a, x);
    _mm512_mask_storeu_epi16(p + 64, b, y);
  }
};

/// Calls whole(i) for each 64 of n and part(i, count) for what is left.
template <class Whole, class Part>
inline void each64(std::size_t n, Whole&& whole, Part&& part) {
  std::size_t i = 0;
  for (; i + 64 <= n; i += 64) whole(i);
  if (i < n) part(i, n - i);
}

std::size_t split_encode(const std::byte* values, std::size_t n, std::uint8_t base, std::byte* nibbles, std::byte* rest,
                         std::byte* escapes) {
  const __m512i low = _mm512_set1_epi8(static_cast<char>(base)), fifteen = _mm512_set1_epi8(15);
  const __m512i pair = _mm512_set1_epi16(0x1001);  // first + 16 * second
  std::byte* const begin = escapes;
  const auto code = [&](__m512i a, __m512i b, __mmask64 some, __m512i& r) {
    __m512i e;
    Halves::split(a, b, e, r);
    const __m512i c = _mm512_min_epu8(_mm512_sub_epi8(e, low), fifteen);
    const __mmask64 escaped = _mm512_mask_cmpeq_epi8_mask(some, c, fifteen);
    store(escapes, _mm512_maskz_compress_epi8(escaped, e));  // too rare to leave out, too frequent to predict
    escapes += _mm_popcnt_u64(escaped);
    return _mm512_cvtepi16_epi8(_mm512_maddubs_epi16(c, pair));
  };
  each64(
      n,
      [&](std::size_t i) {
        __m512i r;
        const __m256i packed = code(load(values + 2 * i), load(values + 2 * i + 64), ~0ULL, r);
        store(rest + i, r);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(nibbles + i / 2), packed);
      },
      [&](std::size_t i, std::size_t count) {
        const Piece piece(count);
        __m512i a, b, r;
        piece.read(values + 2 * i, a, b);
        const __m256i packed = code(a, b, piece.bytes, r);
        _mm512_mask_storeu_epi8(rest + i, piece.bytes, r);
        _mm256_mask_storeu_epi8(nibbles + i / 2, static_cast<__mmask32>(first(count / 2)), packed);
      });
  return static_cast<std::size_t>(escapes - begin);
}

template <bool kStream>
std::size_t split_decode_to(const std::byte* nibbles, const std::byte* rest, std::size_t n, std::uint8_t base,
                            const std::byte* escapes, std::size_t count, std::byte* values) {
  const __m512i low = _mm512_set1_epi8(static_cast<char>(base)), fifteen = _mm512_set1_epi8(15);
  std::size_t used = 0;
  bool enough = true;
  const auto code = [&](__m256i packed, __m512i r, __mmask64 some, __m512i& a, __m512i& b) {
    const __m512i wide = _mm512_cvtepu8_epi16(packed);
    const __m512i c = _mm512_and_si512(_mm512_or_si512(wide, _mm512_slli_epi16(wide, 4)), fifteen);
    __m512i e = _mm512_add_epi8(c, low);
    const __mmask64 escaped = _mm512_mask_cmpeq_epi8_mask(some, c, fifteen);
    if (escaped) {
      const auto more = static_cast<std::size_t>(_mm_popcnt_u64(escaped));
      if (more > count - used) {
        enough = false;
      } else {
        e = _mm512_mask_expand_epi8(e, escaped, _mm512_maskz_loadu_epi8(first(more), escapes + used));
        used += more;
      }
    }
    Halves::join(e, r, a, b);
  };
  each64(
      n,
      [&](std::size_t i) {
        __m512i a, b;
        code(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(nibbles + i / 2)), load(rest + i), ~0ULL, a, b);
        put<kStream>(values + 2 * i, a);
        put<kStream>(values + 2 * i + 64, b);
      },
      [&](std::size_t i, std::size_t left) {
        const Piece piece(left);
        __m512i a, b;
        code(_mm256_maskz_loadu_epi8(static_cast<__mmask32>(first(left / 2)), nibbles + i / 2),
             _mm512_maskz_loadu_epi8(piece.bytes, rest + i), piece.bytes, a, b);
        piece.write(values + 2 * i, a, b);
      });
  return enough ? used : count + 1;
}

std::size_t split_decode(const std::byte* nibbles, const std::byte* rest, std::size_t n, std::uint8_t base,
                         const std::byte* escapes, std::size_t count, std::byte* values, bool stream) {
  const bool past = stream && reinterpret_cast<std::uintptr_t>(values) % kStreamLine == 0;
  return past ? split_decode_to<true>(nibbles, rest, n, base, escapes, count, values)
              : split_decode_to<false>(nibbles, rest, n, base, escapes, count, values);
}

void exponent_split(const std::byte* values, std::size_t n, std::uint8_t* exponents, std::byte* rest) {
  for (std::size_t i = 0; i < n; i += 64) {
    const Piece piece(std::min<std::size_t>(64, n - i));
    __m512i a, b, e, r;
    piece.read(values + 2 * i, a, b);
    Halves::split(a, b, e, r);
    _mm512_mask_storeu_epi8(exponents + i, piece.bytes, e);
    _mm512_mask_storeu_epi8(rest + i, piece.bytes, r);
  }
}

void exponent_join(const std::uint8_t* exponents, const std::byte* rest, std::size_t n, std::byte* values) {
  for (std::size_t i = 0; i < n; i += 64) {
    const Piece piece(std::min<std::size_t>(64, n - i));
    __m512i a, b;
    Halves::join(_mm512_maskz_loadu_epi8(piece.bytes, exponents + i), _mm512_maskz_loadu_epi8(piece.bytes, rest + i), a,
                 b);
    piece.write(values + 2 * i, a, b);
  }
}

void stream_lines(std::byte* to, const std::byte* from, std::size_t n) {
  for (std::size_t i = 0; i < n * kStreamLine; i += kStreamLine) put<true>(to + i, load(from + i));
}
void settle() { _mm_sfence(); }

}  // namespace

const ExponentKernels kExponentsAvx512 = {.exponent_largest = exponent_largest,
                                          .split_encode = split_encode,
                                          .split_decode = split_decode,
                                          .exponent_split = exponent_split,
                                          .exponent_join = exponent_join,
                                          .stream_lines = stream_lines,
                                          .settle = settle};

}  // namespace sluice::kv
