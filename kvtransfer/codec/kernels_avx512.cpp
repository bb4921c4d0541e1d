// The kernels for AVX-512 (F, BW, VL, DQ). Rows that do not fill a vector end in the generic code.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kvtransfer/codec/bf16.h"
#include "kvtransfer/codec/bytes.h"
#include "kvtransfer/codec/kernel_tables.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels_generic.inl"

inline __m512 widen(__m256i bf16) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16)); }
inline __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline __m512i load512(const void* p) { return _mm512_loadu_si512(p); }

/// f32_to_bf16 of 32 values, low half first.
inline __m512i narrow(__m512 lo, __m512 hi) {
  const __m512i one = _mm512_set1_epi32(1), half = _mm512_set1_epi32(0x7fff);
  const auto round = [&](__m512i u) {
    return _mm512_add_epi32(_mm512_add_epi32(u, half), _mm512_and_si512(_mm512_srli_epi32(u, 16), one));
  };
  // The upper 16 bits of each 32, of both registers.
  alignas(64) static constexpr std::uint16_t odd[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
                                                        33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
  return _mm512_permutex2var_epi16(round(_mm512_castps_si512(lo)), _mm512_load_si512(odd),
                                   round(_mm512_castps_si512(hi)));
}

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

/// As q8_scale() and q8_inverse() of 16 channels: stores the scales, returns the inverses.
inline __m512 scales16(const std::uint16_t* absmax, std::byte* scales) {
  const __m256i m = _mm256_min_epu16(load256(absmax), _mm256_set1_epi16(kBf16Max));
  const __m512i s = _mm512_castps_si512(_mm512_mul_ps(widen(m), _mm512_set1_ps(1.0F / 127.0F)));
  __m512i bits = _mm512_srli_epi32(_mm512_add_epi32(s, _mm512_set1_epi32(0xffff)), 16);
  bits = _mm512_min_epu32(bits, _mm512_set1_epi32(kQ8MaxScale));
  const __mmask16 some = _mm512_cmpge_epu32_mask(bits, _mm512_set1_epi32(kBf16MinNormal));
  bits = _mm512_maskz_mov_epi32(some, bits);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(scales), _mm512_cvtepi32_epi16(bits));
  return _mm512_maskz_div_ps(some, _mm512_set1_ps(1.0F), _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16)));
}

void q8_key_encode(const std::byte* const* rows, std::uint32_t n, std::uint32_t channels, std::byte* scales,
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
  q8_key_encode_range(rows, n, channels, whole, channels, scales, q);
}

void q8_key_decode(const std::byte* scales, const std::byte* q, std::uint32_t n, std::uint32_t channels,
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
  q8_key_decode_range(scales, q, n, channels, whole, channels, rows);
}

std::uint16_t max_of(__m512i v) {
  const __m256i a = _mm256_max_epu16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
  const __m128i b = _mm_max_epu16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  // minpos finds the least of eight, so ask it for the complement's.
  return static_cast<std::uint16_t>(~_mm_extract_epi16(_mm_minpos_epu16(_mm_xor_si128(b, _mm_set1_epi16(-1))), 0));
}

void q8_value_encode(const std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales,
                     std::byte* q) {
  const std::uint32_t whole = head_dim / 32 * 32;
  for (std::uint32_t h = 0; h < heads; ++h) {
    const std::byte* x = row + 2 * std::size_t{h} * head_dim;
    std::byte* out = q + std::size_t{h} * head_dim;
    __m512i m = _mm512_setzero_si512();
    for (std::uint32_t i = 0; i < whole; i += 32)
      m = _mm512_max_epu16(m, _mm512_and_si512(load512(x + 2 * std::size_t{i}), _mm512_set1_epi16(kBf16Abs)));
    const std::uint16_t s = q8_scale(std::max(max_of(m), absmax_of(x, whole, head_dim)));
    store_bf16(scales, h, s);
    const float inverse = q8_inverse(s);
    for (std::uint32_t i = 0; i < whole; i += 16)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                       quantize16(x + 2 * std::size_t{i}, _mm512_set1_ps(inverse)));
    q8_quantize_range(x, inverse, whole, head_dim, out);
  }
}

void q8_value_decode(const std::byte* scales, const std::byte* q, std::uint32_t heads, std::uint32_t head_dim,
                     std::byte* row) {
  const std::uint32_t whole = head_dim / 32 * 32;
  for (std::uint32_t h = 0; h < heads; ++h) {
    const float scale = bf16_to_f32(load_bf16(scales, h));
    const __m512 s = _mm512_set1_ps(scale);
    const std::byte* in = q + std::size_t{h} * head_dim;
    std::byte* out = row + 2 * std::size_t{h} * head_dim;
    for (std::uint32_t i = 0; i < whole; i += 32)
      _mm512_storeu_si512(out + 2 * std::size_t{i}, narrow(dequantize16(in + i, s), dequantize16(in + i + 16, s)));
    q8_dequantize_range(in, scale, whole, head_dim, out);
  }
}

// ---- h4: one block lies in R registers of 16 values ----------------------------------------------------------------

/// One stage inside a register: partner + self where the partner is above, partner - self where it is below. The
/// product with +-1 is exact, so the fused operation rounds once, as the plain sum does.
template <int kDistance>
inline __m512 stage(__m512 x) {
  alignas(64) static constexpr auto sign = [] {
    std::array<float, 16> s{};
    for (int i = 0; i < 16; ++i) s[i] = (i & kDistance) ? -1.0F : 1.0F;
    return s;
  }();
  __m512 t;
  if constexpr (kDistance == 1) t = _mm512_permute_ps(x, 0xb1);
  if constexpr (kDistance == 2) t = _mm512_permute_ps(x, 0x4e);
  if constexpr (kDistance == 4) t = _mm512_shuffle_f32x4(x, x, 0xb1);
  if constexpr (kDistance == 8) t = _mm512_shuffle_f32x4(x, x, 0x4e);
  return _mm512_fmadd_ps(x, _mm512_load_ps(sign.data()), t);
}

/// The stages between registers, kHalf registers apart.
template <int kHalf, int R>
inline void fwht_across(__m512 (&y)[R]) {
  if constexpr (kHalf < R) {
    for (int k = 0; k < R / 2; ++k) {
      const int j = k / kHalf * 2 * kHalf + k % kHalf;
      const __m512 u = y[j], v = y[j + kHalf];
      y[j] = _mm512_add_ps(u, v);
      y[j + kHalf] = _mm512_sub_ps(u, v);
    }
    fwht_across<2 * kHalf>(y);
  }
}

template <int R>
inline void fwht_registers(__m512 (&y)[R]) {
  for (int i = 0; i < R; ++i) y[i] = stage<8>(stage<4>(stage<2>(stage<1>(y[i]))));
  fwht_across<1>(y);
}

/// As ordered_sum(), of what the two halves of a vector came to.
inline float ordered_sum(__m512 lower, __m512 upper) {
  const __m512 v = _mm512_add_ps(lower, upper);
  const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

/// As h4_quantize(), 16 values at a time.
struct H4Quantizer {
  __m512 midpoint = _mm512_loadu_ps(kH4Midpoint);
  __m512i base = _mm512_loadu_si512(kH4Base);
  __m512 value = _mm512_loadu_ps(kH4Value);

  __m512i operator()(__m512 y, __m512 to_bins, __m512& yc, __m512& cc) const {
    const __m512 m = _mm512_abs_ps(y);
    const __m512 v = _mm512_min_ps(_mm512_mul_ps(m, to_bins), _mm512_set1_ps(15.0F));
    const __m512i b = _mm512_cvttps_epi32(v);
    const __m512i least = _mm512_permutexvar_epi32(b, base);
    const __mmask16 above = _mm512_cmp_ps_mask(v, _mm512_permutexvar_ps(b, midpoint), _CMP_GE_OQ);
    const __m512i k = _mm512_mask_add_epi32(least, above, least, _mm512_set1_epi32(1));
    const __m512 c = _mm512_permutexvar_ps(k, value);
    yc = _mm512_add_ps(yc, _mm512_mul_ps(m, c));
    cc = _mm512_add_ps(cc, _mm512_mul_ps(c, c));
    const __m512i sign = _mm512_and_si512(_mm512_srli_epi32(_mm512_castps_si512(y), 28), _mm512_set1_epi32(8));
    return _mm512_or_si512(k, sign);
  }
};

/// Transforms one vector of Blocks blocks into y and returns its sum of squares.
template <int R, int Blocks>
inline float transform(const std::byte* x, const std::uint16_t* sign, float* y) {
  constexpr int kRegs = R * Blocks;
  __m512 v[kRegs];
  for (int b = 0; b < Blocks; ++b) {
    __m512 part[R];
    for (int i = 0; i < R; ++i) {
      const std::size_t at = 16 * static_cast<std::size_t>(b * R + i);
      part[i] = widen(_mm256_xor_si256(load256(x + 2 * at), load256(sign + at)));
    }
    fwht_registers<R>(part);
    for (int i = 0; i < R; ++i) v[b * R + i] = part[i];
  }
  __m512 lower = _mm512_setzero_ps(), upper = _mm512_setzero_ps();
  for (int i = 0; i < kRegs / 2; ++i) {
    lower = _mm512_add_ps(lower, _mm512_mul_ps(v[i], v[i]));
    upper = _mm512_add_ps(upper, _mm512_mul_ps(v[i + kRegs / 2], v[i + kRegs / 2]));
  }
  for (int i = 0; i < kRegs; ++i) _mm512_store_ps(y + 16 * i, v[i]);
  return ordered_sum(lower, upper);
}

/// Writes the codes of a transformed vector and returns its scale.
template <int kRegs>
inline float quantize(const H4Quantizer& q, const float* y, float ss, std::byte* codes) {
  const __m512 to_bins = _mm512_set1_ps(4.0F / std::sqrt(ss / (16.0F * kRegs)));
  __m512 yc[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, cc[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  for (int i = 0; i < kRegs / 2; ++i) {
    const __m512i lower = q(_mm512_load_ps(y + 16 * i), to_bins, yc[0], cc[0]);
    const __m512i upper = q(_mm512_load_ps(y + 16 * (i + kRegs / 2)), to_bins, yc[1], cc[1]);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + 16 * i),
                     _mm512_cvtepi32_epi8(_mm512_or_si512(lower, _mm512_slli_epi32(upper, 4))));
  }
  return ordered_sum(yc[0], yc[1]) / ordered_sum(cc[0], cc[1]);
}

/// Heads of Blocks blocks of 16 * R values; an even number of registers in all. Two passes over a few heads at a time:
/// in one, each head would wait for its own sums before it can be quantized.
template <int R, int Blocks>
void h4_encode_fixed(const H4Shape& s, const std::uint16_t* signs, const std::byte* row, std::byte* scales,
                     std::byte* codes) {
  constexpr int kRegs = R * Blocks;
  constexpr std::uint32_t kDim = 16 * kRegs, kHeads = 8;
  const H4Quantizer q;
  alignas(64) float y[kHeads][kDim];
  float ss[kHeads];
  for (std::uint32_t first = 0; first < s.heads; first += kHeads) {
    const std::uint32_t n = std::min(kHeads, s.heads - first);
    const std::byte* x = row + 2 * std::size_t{first} * kDim;
    const std::uint16_t* sign = signs + std::size_t{first} * kDim;
    for (std::uint32_t h = 0; h < n; ++h)
      ss[h] = transform<R, Blocks>(x + 2 * std::size_t{h} * kDim, sign + std::size_t{h} * kDim, y[h]);
    for (std::uint32_t h = 0; h < n; ++h) {
      std::byte* out = codes + std::size_t{first + h} * (kDim / 2);
      if (ss[h] > kH4MinSum && ss[h] < kH4MaxSum) [[likely]] {
        store_bf16(scales, first + h, h4_scale_bits(quantize<kRegs>(q, y[h], ss[h], out) / (16.0F * R), 16 * R));
      } else {
        std::uint8_t code[kDim];
        store_bf16(scales, first + h,
                   h4_encode_extreme(s, sign + std::size_t{h} * kDim, x + 2 * std::size_t{h} * kDim, code));
        h4_pack(code, kDim, out);
      }
    }
  }
}

template <int R, int Blocks>
void h4_decode_fixed(const H4Shape& s, const std::uint16_t* signs, const std::byte* scales, const std::byte* codes,
                     std::byte* row) {
  constexpr int kRegs = R * Blocks;
  constexpr std::uint32_t kDim = 16 * kRegs;
  const __m512 value = _mm512_loadu_ps(kH4Value);
  for (std::uint32_t h = 0; h < s.heads; ++h) {
    const __m512 scale = _mm512_set1_ps(bf16_to_f32(load_bf16(scales, h)));
    const std::byte* in = codes + std::size_t{h} * (kDim / 2);
    __m512 y[kRegs];
    for (int i = 0; i < kRegs / 2; ++i) {
      const __m512i two = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 16 * i)));
      // The permutation reads only the low four bits of each index.
      y[i] = _mm512_mul_ps(_mm512_permutexvar_ps(two, value), scale);
      y[i + kRegs / 2] = _mm512_mul_ps(_mm512_permutexvar_ps(_mm512_srli_epi32(two, 4), value), scale);
    }
    std::byte* x = row + 2 * std::size_t{h} * kDim;
    const std::uint16_t* sign = signs + std::size_t{h} * kDim;
    for (int b = 0; b < Blocks; ++b) {
      __m512 part[R];
      for (int i = 0; i < R; ++i) part[i] = y[b * R + i];
      fwht_registers<R>(part);
      for (int i = 0; i < R; ++i) y[b * R + i] = part[i];
    }
    for (int i = 0; i < kRegs; i += 2)
      _mm512_storeu_si512(x + 32 * i, _mm512_xor_si512(narrow(y[i], y[i + 1]), load512(sign + 16 * i)));
  }
}

using H4Encode = decltype(Kernels::h4_encode);
using H4Decode = decltype(Kernels::h4_decode);
struct H4Pair {
  H4Encode encode = h4_encode_with<fwht>;
  H4Decode decode = h4_decode_with<fwht>;
};

template <int R, int Blocks>
constexpr H4Pair kFixed = {h4_encode_fixed<R, Blocks>, h4_decode_fixed<R, Blocks>};

/// Head sizes that models have; any other takes the generic path.
H4Pair h4_for(const H4Shape& s) {
  if (s.head_dim == 32 && s.block == 32) return kFixed<2, 1>;
  if (s.head_dim == 64 && s.block == 64) return kFixed<4, 1>;
  if (s.head_dim == 96 && s.block == 32) return kFixed<2, 3>;
  if (s.head_dim == 128 && s.block == 128) return kFixed<8, 1>;
  if (s.head_dim == 256 && s.block == 256) return kFixed<16, 1>;
  return {};
}

void h4_encode(const H4Shape& s, const std::uint16_t* signs, const std::byte* row, std::byte* scales,
               std::byte* codes) {
  h4_for(s).encode(s, signs, row, scales, codes);
}

void h4_decode(const H4Shape& s, const std::uint16_t* signs, const std::byte* scales, const std::byte* codes,
               std::byte* row) {
  h4_for(s).decode(s, signs, scales, codes, row);
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

const Kernels kKernelsAvx512 = {.isa = Isa::avx512,
                                .q8_key_encode = q8_key_encode,
                                .q8_key_decode = q8_key_decode,
                                .q8_value_encode = q8_value_encode,
                                .q8_value_decode = q8_value_decode,
                                .h4_encode = h4_encode,
                                .h4_decode = h4_decode,
                                .ll_split = ll_split,
                                .ll_join = ll_join};

}  // namespace sluice::kv
