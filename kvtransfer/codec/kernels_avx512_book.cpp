// The book quantizers for AVX-512 (F, BW, VL, DQ).
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "kvtransfer/codec/avx512.h"
#include "kvtransfer/codec/bf16.h"
#include "kvtransfer/codec/bytes.h"
#include "kvtransfer/codec/kernel_tables.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels_book.inl"
using namespace avx512;

inline constexpr float kNever = std::numeric_limits<float>::infinity();
/// Nearest level of a magnitude m (unit variance): quarter-wide bins hold at most one midpoint between levels.
/// Symbol = kBase[b] + (4m >= kMidpoint[b]) with b = floor(min(4m, 15)).
inline constexpr float kH4Midpoint[16] = {kNever,
                                          2 * (.1284F + .3880F),
                                          2 * (.3880F + .6568F),
                                          2 * (.6568F + .9423F),
                                          2 * (.9423F + 1.2562F),
                                          2 * (1.2562F + 1.6180F),
                                          kNever,
                                          2 * (1.6180F + 2.0690F),
                                          kNever,
                                          2 * (2.0690F + 2.7326F),
                                          kNever,
                                          kNever,
                                          kNever,
                                          kNever,
                                          kNever,
                                          kNever};
inline constexpr std::int32_t kH4Base[16] = {0, 0, 1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 7, 7, 7, 7};
/// What a four-bit symbol means, before its scale.
inline constexpr float kH4Value[16] = {.1284F,  .3880F,  .6568F,  .9423F,  1.2562F,  1.6180F,  2.0690F,  2.7326F,
                                       -.1284F, -.3880F, -.6568F, -.9423F, -1.2562F, -1.6180F, -2.0690F, -2.7326F};

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
void h4_encode_fixed(const BookShape& s, const std::uint16_t* signs, const std::byte* row, std::byte* scales,
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
      if (ss[h] > kMinSum && ss[h] < kMaxSum) [[likely]] {
        store_bf16(scales, first + h,
                   book_scale_bits(Quantizer::lloyd, quantize<kRegs>(q, y[h], ss[h], out) / (16.0F * R), 16 * R));
      } else {
        std::uint8_t code[kDim];
        book_encode_extreme(s, sign + std::size_t{h} * kDim, x + 2 * std::size_t{h} * kDim, scales + 2 * (first + h),
                            code);
        pack_generic(4, 1, kDim, code, out);
      }
    }
  }
}

template <int R, int Blocks>
void h4_decode_fixed(const BookShape& s, const std::uint16_t* signs, const std::byte* scales, const std::byte* codes,
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

struct Pair {
  decltype(Kernels::book_encode_packed) encode = book_encode_packed_with<fwht>;
  decltype(Kernels::book_decode_packed) decode = book_decode_packed_with<fwht>;
};

template <int R, int Blocks>
constexpr Pair kFixed = {h4_encode_fixed<R, Blocks>, h4_decode_fixed<R, Blocks>};

/// Head sizes that models have; any other takes the generic path.
Pair packed_for(const BookShape& s) {
  if (s.book->quantizer != Quantizer::lloyd || s.book->levels != 16 || s.scale != Scale::bf16) return {};
  if (s.head_dim == 32 && s.block == 32) return kFixed<2, 1>;
  if (s.head_dim == 64 && s.block == 64) return kFixed<4, 1>;
  if (s.head_dim == 96 && s.block == 32) return kFixed<2, 3>;
  if (s.head_dim == 128 && s.block == 128) return kFixed<8, 1>;
  if (s.head_dim == 256 && s.block == 256) return kFixed<16, 1>;
  return {};
}

void encode_packed(const BookShape& s, const std::uint16_t* signs, const std::byte* row, std::byte* scales,
                   std::byte* codes) {
  packed_for(s).encode(s, signs, row, scales, codes);
}

void decode_packed(const BookShape& s, const std::uint16_t* signs, const std::byte* scales, const std::byte* codes,
                   std::byte* row) {
  packed_for(s).decode(s, signs, scales, codes, row);
}

}  // namespace

const BookKernels kBookAvx512 = {.encode = book_encode_with<fwht>,
                                 .decode = book_decode_with<fwht>,
                                 .encode_packed = encode_packed,
                                 .decode_packed = decode_packed,
                                 .row_forward = row_forward_with<fwht>,
                                 .row_backward = row_backward_with<fwht>};

}  // namespace sluice::kv
