#pragma once
// The vectors of vector*.inl in AVX-512 (F, BW, VL, DQ): 64 bytes. vector_avx2.h has the same names.
#include <immintrin.h>

#include <cstdint>

namespace sluice::kv::avx512 {

using F = __m512;   // 16 floats
using I = __m512i;  // integers
using Half = __m256i;
inline constexpr std::uint32_t kFloats = 16, kWords = 32, kBytes = 64;

inline I load(const void* p) { return _mm512_loadu_si512(p); }
inline Half load_half(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline void store(void* p, I v) { _mm512_storeu_si512(p, v); }
inline void stream(void* p, I v) { _mm512_stream_si512(static_cast<__m512i*>(p), v); }
inline F load_f(const float* p) { return _mm512_loadu_ps(p); }
inline void store_f(float* p, F v) { _mm512_storeu_ps(p, v); }
inline void store_half(void* p, Half v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }

inline F set(float v) { return _mm512_set1_ps(v); }
inline I set8(int v) { return _mm512_set1_epi8(static_cast<char>(v)); }
inline I set16(int v) { return _mm512_set1_epi16(static_cast<short>(v)); }
inline I set32(int v) { return _mm512_set1_epi32(v); }
inline I zero() { return _mm512_setzero_si512(); }
inline F zero_f() { return _mm512_setzero_ps(); }
inline Half lower_half(I v) { return _mm512_castsi512_si256(v); }
inline Half upper_half(I v) { return _mm512_extracti64x4_epi64(v, 1); }
inline Half combine4(Half low, Half high) { return _mm256_or_si256(low, _mm256_slli_epi16(high, 4)); }
/// 16 bytes, in every 128-bit lane.
inline I lanes(const void* p) { return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(p))); }

inline F as_f(I v) { return _mm512_castsi512_ps(v); }
inline I as_i(F v) { return _mm512_castps_si512(v); }
inline I and_i(I a, I b) { return _mm512_and_si512(a, b); }
inline I or_i(I a, I b) { return _mm512_or_si512(a, b); }
inline I xor_i(I a, I b) { return _mm512_xor_si512(a, b); }
template <int n>
inline I shl16(I v) {
  return _mm512_slli_epi16(v, n);
}
template <int n>
inline I shr16(I v) {
  return _mm512_srli_epi16(v, n);
}
template <int n>
inline I shl32(I v) {
  return _mm512_slli_epi32(v, n);
}
template <int n>
inline I shr32(I v) {
  return _mm512_srli_epi32(v, n);
}

inline F add(F a, F b) { return _mm512_add_ps(a, b); }
inline F sub(F a, F b) { return _mm512_sub_ps(a, b); }
inline F mul(F a, F b) { return _mm512_mul_ps(a, b); }
inline F div(F a, F b) { return _mm512_div_ps(a, b); }
/// v < limit ? a : b, each.
inline I if_less(F v, F limit, I a, I b) {
  return _mm512_mask_mov_epi32(b, _mm512_cmp_ps_mask(v, limit, _CMP_LT_OQ), a);
}
/// As a < b ? a : b, and as a > b ? a : b: b where either is NaN.
inline F min(F a, F b) { return _mm512_min_ps(a, b); }
inline F max(F a, F b) { return _mm512_max_ps(a, b); }
inline I to_int(F v) { return _mm512_cvtps_epi32(v); }
inline F to_float(I v) { return _mm512_cvtepi32_ps(v); }

inline I add8(I a, I b) { return _mm512_add_epi8(a, b); }
inline I max8(I a, I b) { return _mm512_max_epi8(a, b); }
inline I min8(I a, I b) { return _mm512_min_epi8(a, b); }
inline I add16(I a, I b) { return _mm512_add_epi16(a, b); }
inline I sub16(I a, I b) { return _mm512_sub_epi16(a, b); }
inline I sub32(I a, I b) { return _mm512_sub_epi32(a, b); }
/// All bits are the sign's.
inline I sign16(I v) { return _mm512_srai_epi16(v, 15); }
inline I abs16(I v) { return _mm512_abs_epi16(v); }
inline I min16(I a, I b) { return _mm512_min_epi16(a, b); }
inline I max16(I a, I b) { return _mm512_max_epi16(a, b); }
inline I min_u16(I a, I b) { return _mm512_min_epu16(a, b); }
inline I max_u16(I a, I b) { return _mm512_max_epu16(a, b); }
inline I add32(I a, I b) { return _mm512_add_epi32(a, b); }
inline I max_u32(I a, I b) { return _mm512_max_epu32(a, b); }
inline I min_u32(I a, I b) { return _mm512_min_epu32(a, b); }
/// Each of 32 bits, or 0 where it is less than `least`.
inline I zero_below(I v, I least) { return _mm512_maskz_mov_epi32(_mm512_cmpge_epu32_mask(v, least), v); }
/// 1 / v, or 0 for 0.
inline F inverse_or_zero(F v) {
  return _mm512_maskz_div_ps(_mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_OQ), _mm512_set1_ps(1.0F), v);
}
inline I multiply_high16(I a, I b) { return _mm512_mulhrs_epi16(a, b); }
inline I multiply_add16(I a, I b) { return _mm512_madd_epi16(a, b); }
/// v + (a >= b), a and b of unsigned bytes.
inline I count_if_not_below(I v, I a, I b) {
  return _mm512_mask_sub_epi8(v, _mm512_cmpge_epu8_mask(a, b), v, _mm512_set1_epi8(-1));
}

// Within 128-bit lanes.
inline I pack32(I a, I b) { return _mm512_packs_epi32(a, b); }
inline I pack16(I a, I b) { return _mm512_packs_epi16(a, b); }
inline I pack_u16(I a, I b) { return _mm512_packus_epi16(a, b); }
inline I low8(I a, I b) { return _mm512_unpacklo_epi8(a, b); }
inline I high8(I a, I b) { return _mm512_unpackhi_epi8(a, b); }
inline I low16(I a, I b) { return _mm512_unpacklo_epi16(a, b); }
inline I high16(I a, I b) { return _mm512_unpackhi_epi16(a, b); }
inline I shuffle8(I table, I at) { return _mm512_shuffle_epi8(table, at); }

/// Butterflies over what lane a value is in, of a pair of registers whose own stage is done. Bits of a value's place,
/// (register, lane): (r, l1 l0) before, (l0, l1 r) after.
inline void lane_stages(I& a, I& b) {
  I u = _mm512_shuffle_i64x2(a, b, 0x44), v = _mm512_shuffle_i64x2(a, b, 0xee);
  a = add16(u, v), b = sub16(u, v);
  u = _mm512_shuffle_i64x2(a, b, 0x88), v = _mm512_shuffle_i64x2(a, b, 0xdd);
  a = add16(u, v), b = sub16(u, v);
}
/// Lanes after lane_stages() in order, their registers packed together.
inline I order_staged(I v) { return _mm512_shuffle_i64x2(v, v, 0xd8); }
/// Qwords of two registers packed together in order.
inline I order_packed(I v) { return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v); }

inline F widen(Half bf16) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16)); }
inline F widen(const void* bf16) { return widen(load_half(bf16)); }
/// f32_to_bf16 of 32 values, low half first.
inline I narrow(F lo, F hi) {
  const __m512i one = _mm512_set1_epi32(1), half = _mm512_set1_epi32(0x7fff);
  const auto round = [&](__m512i u) {
    return _mm512_add_epi32(_mm512_add_epi32(u, half), _mm512_and_si512(_mm512_srli_epi32(u, 16), one));
  };
  // The upper 16 bits of each 32, of both registers.
  alignas(64) static constexpr std::uint16_t odd[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
                                                        33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
  return _mm512_permutex2var_epi16(round(as_i(lo)), _mm512_load_si512(odd), round(as_i(hi)));
}
/// kFloats bytes as 32-bit integers.
inline I extend_u8(const void* p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))); }
inline I extend_s8(const void* p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))); }

/// 16 floats, of which any can be asked for.
struct Table16 {
  F v;
  explicit Table16(const float* p) : v(load_f(p)) {}
  void scale(F by) { v = mul(v, by); }
  /// The lowest 4 bits of each integer choose.
  [[nodiscard]] F operator[](I at) const { return _mm512_permutexvar_ps(at, v); }
};

/// One stage of fwht() inside a register: partner + self where the partner is above, partner - self where it is below.
/// The product with +-1 is exact, so the fused operation rounds once, as the plain sum does.
template <int kDistance>
inline F stage(F x) {
  alignas(64) static constexpr auto sign = [] {
    struct {
      float v[16];
    } s{};
    for (int i = 0; i < 16; ++i) s.v[i] = (i & kDistance) ? -1.0F : 1.0F;
    return s;
  }();
  F t;
  if constexpr (kDistance == 1) t = _mm512_permute_ps(x, 0xb1);
  if constexpr (kDistance == 2) t = _mm512_permute_ps(x, 0x4e);
  if constexpr (kDistance == 4) t = _mm512_shuffle_f32x4(x, x, 0xb1);
  if constexpr (kDistance == 8) t = _mm512_shuffle_f32x4(x, x, 0x4e);
  return _mm512_fmadd_ps(x, _mm512_load_ps(sign.v), t);
}
inline F stages_within(F x) { return stage<8>(stage<4>(stage<2>(stage<1>(x)))); }

/// What 16 lanes (as `kSumRegs` registers) of each of eight heads come to, by halves.
inline constexpr std::uint32_t kSumRegs = 1;
inline __m256 fold(const F (&s)[8][kSumRegs]) {
  const auto two = [](F a, F b) { return add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee)); };
  const auto four = [](F a, F b) { return add(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd)); };
  const F x = four(two(s[0][0], s[1][0]), two(s[2][0], s[3][0]));
  const F y = four(two(s[4][0], s[5][0]), two(s[6][0], s[7][0]));
  const F e = add(_mm512_shuffle_ps(x, y, 0x44), _mm512_shuffle_ps(x, y, 0xee));
  const F z = add(_mm512_shuffle_ps(e, e, 0x88), _mm512_shuffle_ps(e, e, 0xdd));
  const __m512i at = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_castps512_ps256(_mm512_permutexvar_ps(at, z));
}
/// Sum of each of eight registers of 32-bit integers.
inline __m256i fold32(const I (&s)[8]) {
  const auto two = [](I a, I b) { return add32(_mm512_shuffle_i64x2(a, b, 0x44), _mm512_shuffle_i64x2(a, b, 0xee)); };
  const auto four = [](I a, I b) { return add32(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd)); };
  const I x = four(two(s[0], s[1]), two(s[2], s[3])), y = four(two(s[4], s[5]), two(s[6], s[7]));
  const I e = add32(_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y));
  const I z = add32(e, _mm512_shuffle_epi32(e, _MM_PERM_CDAB));
  const __m512i at = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_castsi512_si256(_mm512_permutexvar_epi32(at, z));
}
inline std::uint16_t max_of_u16(I v) {
  const __m256i a = _mm256_max_epu16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
  const __m128i b = _mm_max_epu16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  // minpos finds the least of eight, so ask it for the complement's.
  return static_cast<std::uint16_t>(~_mm_extract_epi16(_mm_minpos_epu16(_mm_xor_si128(b, _mm_set1_epi16(-1))), 0));
}
/// Largest and smallest of signed words.
inline std::int16_t max_of_16(I v) { return static_cast<std::int16_t>(max_of_u16(xor_i(v, set16(-0x8000))) ^ 0x8000); }
inline std::int16_t min_of_16(I v) { return static_cast<std::int16_t>(max_of_u16(xor_i(v, set16(0x7fff))) ^ 0x7fff); }

}  // namespace sluice::kv::avx512
