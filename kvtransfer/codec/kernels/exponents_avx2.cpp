// The exponent kernels for AVX2.
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
#include "kvtransfer/codec/kernels/exponents_generic.inl"

/// 32 values of two registers to bytes, in order.
inline __m256i narrow(__m256i a, __m256i b) { return _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xd8); }

std::size_t split_encode(const std::byte* values, std::size_t n, std::uint8_t base, std::byte* nibbles, std::byte* rest,
                         std::byte* escapes) {
  const __m256i low = bytes_of(base), fifteen = bytes_of(15), sign = bytes_of(0x80);
  std::size_t i = 0, count = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i a = load(values + 2 * i), b = load(values + 2 * i + 32);
    const __m256i e = narrow(evens(_mm256_srli_epi16(a, 7)), evens(_mm256_srli_epi16(b, 7)));
    const __m256i signs = _mm256_and_si256(narrow(odds(a), odds(b)), sign);
    store(rest + i, _mm256_or_si256(signs, _mm256_andnot_si256(sign, narrow(evens(a), evens(b)))));
    const __m256i c = _mm256_min_epu8(_mm256_sub_epi8(e, low), fifteen);
    const __m256i pairs = _mm256_maddubs_epi16(c, _mm256_set1_epi16(0x1001));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(nibbles + i / 2), _mm256_castsi256_si128(narrow(pairs, pairs)));
    std::uint32_t escaped = bits(_mm256_cmpeq_epi8(c, fifteen));
    if (escaped == 0) continue;
    alignas(32) std::byte exponents[32];
    store(exponents, e);
    for (; escaped; escaped &= escaped - 1) escapes[count++] = exponents[std::countr_zero(escaped)];
  }
  return count + split_encode_generic(values + 2 * i, n - i, base, nibbles + i / 2, rest + i, escapes + count);
}

template <bool kStream>
std::size_t split_decode_to(const std::byte* nibbles, const std::byte* rest, std::size_t n, std::uint8_t base,
                            const std::byte* escapes, std::size_t count, std::byte* values) {
  const auto put = [](std::byte* p, __m256i v) {
    if constexpr (kStream)
      stream(p, v);
    else
      store(p, v);
  };
  const __m256i low = bytes_of(base), fifteen = bytes_of(15), sign = bytes_of(0x80);
  std::size_t i = 0, used = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(nibbles + i / 2)));
    const __m256i c = _mm256_and_si256(_mm256_or_si256(wide, _mm256_slli_epi16(wide, 4)), fifteen);
    __m256i e = _mm256_add_epi8(c, low);
    std::uint32_t escaped = bits(_mm256_cmpeq_epi8(c, fifteen));
    if (escaped != 0) {
      if (static_cast<std::size_t>(_mm_popcnt_u32(escaped)) > count - used) return count + 1;
      alignas(32) std::byte exponents[32];
      store(exponents, e);
      for (; escaped; escaped &= escaped - 1) exponents[std::countr_zero(escaped)] = escapes[used++];
      e = load(exponents);
    }
    const __m256i r = load(rest + i);
    const __m256i high = _mm256_or_si256(_mm256_and_si256(r, sign), _mm256_andnot_si256(sign, _mm256_srli_epi16(e, 1)));
    const __m256i mantissa = _mm256_andnot_si256(sign, r);
    const __m256i down = _mm256_or_si256(mantissa, _mm256_and_si256(sign, _mm256_slli_epi16(e, 7)));
    const __m256i a = _mm256_unpacklo_epi8(down, high), b = _mm256_unpackhi_epi8(down, high);
    put(values + 2 * i, _mm256_permute2x128_si256(a, b, 0x20));
    put(values + 2 * i + 32, _mm256_permute2x128_si256(a, b, 0x31));
  }
  const std::size_t more =
      split_decode_generic(nibbles + i / 2, rest + i, n - i, base, escapes + used, count - used, values + 2 * i, false);
  return used + more;
}

std::size_t split_decode(const std::byte* nibbles, const std::byte* rest, std::size_t n, std::uint8_t base,
                         const std::byte* escapes, std::size_t count, std::byte* values, bool stream) {
  const bool past = stream && reinterpret_cast<std::uintptr_t>(values) % kStreamLine == 0;
  return past ? split_decode_to<true>(nibbles, rest, n, base, escapes, count, values)
              : split_decode_to<false>(nibbles, rest, n, base, escapes, count, values);
}

void stream_lines(std::byte* to, const std::byte* from, std::size_t n) {
  for (std::size_t i = 0; i < n * kStreamLine; i += 32) stream(to + i, load(from + i));
}
void settle() { _mm_sfence(); }

}  // namespace

const ExponentKernels kExponentsAvx2 = {.exponent_largest = exponent_largest_generic,
                                        .split_encode = split_encode,
                                        .split_decode = split_decode,
                                        .exponent_split = exponent_split_generic,
                                        .exponent_join = exponent_join_generic,
                                        .stream_lines = stream_lines,
                                        .settle = settle};

}  // namespace sluice::kv
