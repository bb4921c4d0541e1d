// The kernels for AVX-512 (F, BW, VL, DQ). Rows that do not fill a vector end in the generic code.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kvtransfer/codec/avx512.h"
#include "kvtransfer/codec/bf16.h"
#include "kvtransfer/codec/bytes.h"
#include "kvtransfer/codec/kernel_tables.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels_generic.inl"
using namespace avx512;

inline __m128i quantize16(const std::byte* x, __m512 inverse) {
  __m512 v = _mm512_mul_ps(widen(load256(x)), inverse);
  v = _mm512_min_ps(v, _mm512_set1_ps(127.0F));  // the second operand wins against NaN
  v = _mm512_max_ps(v, _mm512_set1_ps(-127.0F));
  return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v));
}

inline __m512 dequantize16(const std::byte* q, __m512 scale) {
  const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(q));
  return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(b)), scale);
}

/// As absmax8_scale() and inverse_of() of 16 channels: stores the scales, returns the inverses.
inline __m512 scales16(const std::uint16_t* absmax, std::byte* scales) {
  const __m256i m = _mm256_min_epu16(load256(absmax), _mm256_set1_epi16(kBf16Max));
  const __m512i s = _mm512_castps_si512(_mm512_mul_ps(widen(m), _mm512_set1_ps(1.0F / 127.0F)));
  __m512i bits = _mm512_srli_epi32(_mm512_add_epi32(s, _mm512_set1_epi32(0xffff)), 16);
  bits = _mm512_min_epu32(bits, _mm512_set1_epi32(kAbsmaxMaxScale));
  const __mmask16 some = _mm512_cmpge_epu32_mask(bits, _mm512_set1_epi32(kBf16MinNormal));
  bits = _mm512_maskz_mov_epi32(some, bits);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(scales), _mm512_cvtepi32_epi16(bits));
  return _mm512_maskz_div_ps(some, _mm512_set1_ps(1.0F), _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16)));
}

void absmax8_page_encode(const std::byte* const* rows, std::uint32_t n, std::uint32_t channels, std::byte* scales,
                         std::byte* q) {
  constexpr std::uint32_t kTile = 1024;
  alignas(64) std::uint16_t absmax[kTile];
  alignas(64) float inverse[kTile];
  const std::uint32_t whole = channels / 32 * 32;
  for (std::uint32_t c0 = 0; c0 < whole; c0 += kTile) {
    const std::uint32_t w = std::min(kTile, whole - c0);
    std::fill_n(absmax, w, std::uint16_t{0});
    const __m512i abs = _mm512_set1_epi16(kBf16Abs);
    for (std::uint32_t r = 0; r < n; ++r) {
      const std::byte* x = rows[r] + 2 * std::size_t{c0};
      for (std::uint32_t c = 0; c < w; c += 32)
        _mm512_store_si512(absmax + c, _mm512_max_epu16(_mm512_load_si512(absmax + c),
                                                        _mm512_and_si512(load512(x + 2 * std::size_t{c}), abs)));
    }
    for (std::uint32_t c = 0; c < w; c += 16)
      _mm512_store_ps(inverse + c, scales16(absmax + c, scales + 2 * (std::size_t{c0} + c)));
    for (std::uint32_t r = 0; r < n; ++r) {
      const std::byte* x = rows[r] + 2 * std::size_t{c0};
      std::byte* out = q + std::size_t{r} * channels + c0;
      for (std::uint32_t c = 0; c < w; c += 16)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + c),
                         quantize16(x + 2 * std::size_t{c}, _mm512_load_ps(inverse + c)));
    }
  }
  absmax8_page_encode_range(rows, n, channels, whole, channels, scales, q);
}

void absmax8_page_decode(const std::byte* scales, const std::byte* q, std::uint32_t n, std::uint32_t channels,
                         std::byte* const* rows) {
  constexpr std::uint32_t kTile = 2048;
  alignas(64) float scale[kTile];
  const std::uint32_t whole = channels / 32 * 32;
  for (std::uint32_t c0 = 0; c0 < whole; c0 += kTile) {
    const std::uint32_t w = std::min(kTile, whole - c0);
    for (std::uint32_t c = 0; c < w; c += 16)
      _mm512_store_ps(scale + c, widen(load256(scales + 2 * (std::size_t{c0} + c))));
    for (std::uint32_t r = 0; r < n; ++r) {
      const std::byte* in = q + std::size_t{r} * channels + c0;
      std::byte* out = rows[r] + 2 * std::size_t{c0};
      for (std::uint32_t c = 0; c < w; c += 32)
        _mm512_storeu_si512(out + 2 * std::size_t{c},
                            narrow(dequantize16(in + c, _mm512_load_ps(scale + c)),
                                   dequantize16(in + c + 16, _mm512_load_ps(scale + c + 16))));
    }
  }
  absmax8_page_decode_range(scales, q, n, channels, whole, channels, rows);
}

std::uint16_t max_of(__m512i v) {
  const __m256i a = _mm256_max_epu16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
  const __m128i b = _mm_max_epu16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  // minpos finds the least of eight, so ask it for the complement's.
  return static_cast<std::uint16_t>(~_mm_extract_epi16(_mm_minpos_epu16(_mm_xor_si128(b, _mm_set1_epi16(-1))), 0));
}

void absmax8_row_encode(const std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales,
                        std::byte* q) {
  const std::uint32_t whole = head_dim / 32 * 32;
  for (std::uint32_t h = 0; h < heads; ++h) {
    const std::byte* x = row + 2 * std::size_t{h} * head_dim;
    std::byte* out = q + std::size_t{h} * head_dim;
    __m512i m = _mm512_setzero_si512();
    for (std::uint32_t i = 0; i < whole; i += 32)
      m = _mm512_max_epu16(m, _mm512_and_si512(load512(x + 2 * std::size_t{i}), _mm512_set1_epi16(kBf16Abs)));
    const std::uint16_t s = absmax8_scale(std::max(max_of(m), absmax_of(x, whole, head_dim)));
    store_bf16(scales, h, s);
    const float inverse = inverse_of(s);
    for (std::uint32_t i = 0; i < whole; i += 16)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                       quantize16(x + 2 * std::size_t{i}, _mm512_set1_ps(inverse)));
    absmax8_quantize_range(x, inverse, whole, head_dim, out);
  }
}

void absmax8_row_decode(const std::byte* scales, const std::byte* q, std::uint32_t heads, std::uint32_t head_dim,
                        std::byte* row) {
  const std::uint32_t whole = head_dim / 32 * 32;
  for (std::uint32_t h = 0; h < heads; ++h) {
    const float scale = bf16_to_f32(load_bf16(scales, h));
    const __m512 s = _mm512_set1_ps(scale);
    const std::byte* in = q + std::size_t{h} * head_dim;
    std::byte* out = row + 2 * std::size_t{h} * head_dim;
    for (std::uint32_t i = 0; i < whole; i += 32)
      _mm512_storeu_si512(out + 2 * std::size_t{i}, narrow(dequantize16(in + i, s), dequantize16(in + i + 16, s)));
    absmax8_dequantize_range(in, scale, whole, head_dim, out);
  }
}

void ll_split(const std::byte* in, std::size_t n, std::byte* exponents, std::byte* rest) {
  const std::size_t whole = n / 32 * 32;
  for (std::size_t i = 0; i < whole; i += 32) {
    const __m512i v = load512(in + 2 * i);
    const __m512i r = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(v, 8), _mm512_set1_epi16(0x80)),
                                      _mm512_and_si512(v, _mm512_set1_epi16(0x7f)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(exponents + i), _mm512_cvtepi16_epi8(_mm512_srli_epi16(v, 7)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(rest + i), _mm512_cvtepi16_epi8(r));
  }
  ll_split_range(in, whole, n, exponents, rest);
}

void ll_join(const std::byte* exponents, const std::byte* rest, std::size_t n, std::byte* out) {
  const std::size_t whole = n / 32 * 32;
  for (std::size_t i = 0; i < whole; i += 32) {
    const __m512i e = _mm512_slli_epi16(_mm512_cvtepu8_epi16(load256(exponents + i)), 7);
    // Sign-extending moves the sign where it belongs and leaves bits to clear between.
    const __m512i r =
        _mm512_and_si512(_mm512_cvtepi8_epi16(load256(rest + i)), _mm512_set1_epi16(static_cast<short>(0x807f)));
    _mm512_storeu_si512(out + 2 * i, _mm512_or_si512(e, r));
  }
  ll_join_range(exponents, rest, whole, n, out);
}

}  // namespace

/// Without the book quantizers, which have a file of their own.
const Kernels kKernelsAvx512 = {.isa = Isa::avx512,
                                .absmax8_page_encode = absmax8_page_encode,
                                .absmax8_page_decode = absmax8_page_decode,
                                .absmax8_row_encode = absmax8_row_encode,
                                .absmax8_row_decode = absmax8_row_decode,
                                .absmax4_row_encode = absmax4_row_encode_generic,
                                .absmax4_row_decode = absmax4_row_decode_generic,
                                .fp8_row_encode = fp8_row_encode_generic,
                                .fp8_row_decode = fp8_row_decode_generic,
                                .minmax_page_encode = minmax_page_encode_generic,
                                .minmax_page_decode = minmax_page_decode_generic,
                                .minmax_row_encode = minmax_row_encode_generic,
                                .minmax_row_decode = minmax_row_decode_generic,
                                .pack = pack_generic,
                                .unpack = unpack_generic,
                                .ll_split = ll_split,
                                .ll_join = ll_join};

}  // namespace sluice::kv
