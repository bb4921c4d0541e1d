#pragma once
// The vectors of vector*.inl in AVX2: 32 bytes. vector_avx512.h has the same names and says what they mean.
#include <immintrin.h>

#include <cstdint>

namespace sluice::kv::avx2 {

using F = __m256;
using I = __m256i;
using Half = __m128i;
inline constexpr std::uint32_t kFloats = 8, kWords = 16, kBytes = 32;

inline I load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline Half load_half(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline void store(void* p, I v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
inline void stream(void* p, I v) { _mm256_stream_si256(static_cast<__m256i*>(p), v); }
inline F load_f(const float* p) { return _mm256_loadu_ps(p); }
inline void store_f(float* p, F v) { _mm256_storeu_ps(p, v); }
inline void store_half(void* p, Half v) { _mm_storeu_si128(static_cast<__m128i*>(p), v); }

inline F set(float v) { return _mm256_set1_ps(v); }
inline I set8(int v) { return _mm256_set1_epi8(static_cast<char>(v)); }
inline I set16(int v) { return _mm256_set1_epi16(static_cast<short>(v)); }
inline I set32(int v) { return _mm256_set1_epi32(v); }
inline I zero() { return _mm256_setzero_si256(); }
inline F zero_f() { return _mm256_setzero_ps(); }
inline Half lower_half(I v) { return _mm256_castsi256_si128(v); }
inline Half upper_half(I v) { return _mm256_extracti128_si256(v, 1); }
inline Half combine4(Half low, Half high) { return _mm_or_si128(low, _mm_slli_epi16(high, 4)); }
inline I lanes(const void* p) { return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p))); }

inline F as_f(I v) { return _mm256_castsi256_ps(v); }
inline I as_i(F v) { return _mm256_castps_si256(v); }
inline I and_i(I a, I b) { return _mm256_and_si256(a, b); }
inline I or_i(I a, I b) { return _mm256_or_si256(a, b); }
inline I xor_i(I a, I b) { return _mm256_xor_si256(a, b); }
template <int n>
inline I shl16(I v) {
  return _mm256_slli_epi16(v, n);
}
template <int n>
inline I shr16(I v) {
  return _mm256_srli_epi16(v, n);
}
template <int n>
inline I shl32(I v) {
  return _mm256_slli_epi32(v, n);
}
template <int n>
inline I shr32(I v) {
  return _mm256_srli_epi32(v, n);
}

inline F add(F a, F b) { return _mm256_add_ps(a, b); }
inline F sub(F a, F b) { return _mm256_sub_ps(a, b); }
inline F mul(F a, F b) { return _mm256_mul_ps(a, b); }
inline F div(F a, F b) { return _mm256_div_ps(a, b); }
inline I if_less(F v, F limit, I a, I b) {
  return as_i(_mm256_blendv_ps(as_f(b), as_f(a), _mm256_cmp_ps(v, limit, _CMP_LT_OQ)));
}
inline F min(F a, F b) { return _mm256_min_ps(a, b); }
inline F max(F a, F b) { return _mm256_max_ps(a, b); }
inline I to_int(F v) { return _mm256_cvtps_epi32(v); }
inline F to_float(I v) { return _mm256_cvtepi32_ps(v); }

inline I add8(I a, I b) { return _mm256_add_epi8(a, b); }
inline I max8(I a, I b) { return _mm256_max_epi8(a, b); }
inline I min8(I a, I b) { return _mm256_min_epi8(a, b); }
inline I add16(I a, I b) { return _mm256_add_epi16(a, b); }
inline I sub16(I a, I b) { return _mm256_sub_epi16(a, b); }
inline I sub32(I a, I b) { return _mm256_sub_epi32(a, b); }
inline I sign16(I v) { return _mm256_srai_epi16(v, 15); }
inline I abs16(I v) { return _mm256_abs_epi16(v); }
inline I min16(I a, I b) { return _mm256_min_epi16(a, b); }
inline I max16(I a, I b) { return _mm256_max_epi16(a, b); }
inline I min_u16(I a, I b) { return _mm256_min_epu16(a, b); }
inline I max_u16(I a, I b) { return _mm256_max_epu16(a, b); }
inline I add32(I a, I b) { return _mm256_add_epi32(a, b); }
inline I max_u32(I a, I b) { return _mm256_max_epu32(a, b); }
inline I min_u32(I a, I b) { return _mm256_min_epu32(a, b); }
inline I zero_below(I v, I least) { return and_i(v, _mm256_cmpeq_epi32(_mm256_max_epu32(v, least), v)); }
inline F inverse_or_zero(F v) {
  return _mm256_and_ps(_mm256_div_ps(_mm256_set1_ps(1.0F), v), _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_NEQ_OQ));
}
inline I multiply_high16(I a, I b) { return _mm256_mulhrs_epi16(a, b); }
inline I multiply_add16(I a, I b) { return _mm256_madd_epi16(a, b); }
inline I count_if_not_below(I v, I a, I b) { return _mm256_sub_epi8(v, _mm256_cmpeq_epi8(_mm256_max_epu8(a, b), a)); }

inline I pack32(I a, I b) { return _mm256_packs_epi32(a, b); }
inline I pack16(I a, I b) { return _mm256_packs_epi16(a, b); }
inline I pack_u16(I a, I b) { return _mm256_packus_epi16(a, b); }
inline I low8(I a, I b) { return _mm256_unpacklo_epi8(a, b); }
inline I high8(I a, I b) { return _mm256_unpackhi_epi8(a, b); }
inline I low16(I a, I b) { return _mm256_unpacklo_epi16(a, b); }
inline I high16(I a, I b) { return _mm256_unpackhi_epi16(a, b); }
inline I shuffle8(I table, I at) { return _mm256_shuffle_epi8(table, at); }

/// (r, l0) before, (l0, r) after.
inline void lane_stages(I& a, I& b) {
  const I u = _mm256_permute2x128_si256(a, b, 0x20), v = _mm256_permute2x128_si256(a, b, 0x31);
  a = add16(u, v), b = sub16(u, v);
}
inline I order_staged(I v) { return v; }
inline I order_packed(I v) { return _mm256_permute4x64_epi64(v, 0xd8); }

inline F widen(Half bf16) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bf16), 16)); }
inline F widen(const void* bf16) { return widen(load_half(bf16)); }
inline I narrow(F lo, F hi) {
  const I one = set32(1), half = set32(0x7fff);
  const auto round = [&](I u) {
    return shr32<16>(_mm256_add_epi32(_mm256_add_epi32(u, half), and_i(shr32<16>(u), one)));
  };
  return order_packed(_mm256_packus_epi32(round(as_i(lo)), round(as_i(hi))));
}
inline I extend_u8(const void* p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))); }
inline I extend_s8(const void* p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))); }

struct Table16 {
  F low, high;
  explicit Table16(const float* p) : low(load_f(p)), high(load_f(p + 8)) {}
  void scale(F by) { low = mul(low, by), high = mul(high, by); }
  [[nodiscard]] F operator[](I at) const {
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, at), _mm256_permutevar8x32_ps(high, at), as_f(shl32<28>(at)));
  }
};

template <int kDistance>
inline F stage(F x) {
  alignas(32) static constexpr auto sign = [] {
    struct {
      float v[8];
    } s{};
    for (int i = 0; i < 8; ++i) s.v[i] = (i & kDistance) ? -1.0F : 1.0F;
    return s;
  }();
  F t;
  if constexpr (kDistance == 1) t = _mm256_permute_ps(x, 0xb1);
  if constexpr (kDistance == 2) t = _mm256_permute_ps(x, 0x4e);
  if constexpr (kDistance == 4) t = _mm256_permute2f128_ps(x, x, 0x01);
  return _mm256_fmadd_ps(x, _mm256_load_ps(sign.v), t);
}
inline F stages_within(F x) { return stage<4>(stage<2>(stage<1>(x))); }

inline constexpr std::uint32_t kSumRegs = 2;
inline __m256 fold(const F (&s)[8][kSumRegs]) {
  // Lanes hold heads 0 to 3 and 4 to 7.
  const auto two = [&](int a, int b) {
    const F x = add(s[a][0], s[a][1]), y = add(s[b][0], s[b][1]);
    return add(_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31));
  };
  const auto four = [](F a, F b) { return add(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee)); };
  const F x = four(two(0, 4), two(1, 5)), y = four(two(2, 6), two(3, 7));
  return add(_mm256_shuffle_ps(x, y, 0x88), _mm256_shuffle_ps(x, y, 0xdd));
}
inline __m256i fold32(const I (&s)[8]) {
  // Lanes hold heads 0 to 3 and 4 to 7.
  const auto two = [&](int a, int b) {
    return add32(_mm256_permute2x128_si256(s[a], s[b], 0x20), _mm256_permute2x128_si256(s[a], s[b], 0x31));
  };
  return _mm256_hadd_epi32(_mm256_hadd_epi32(two(0, 4), two(1, 5)), _mm256_hadd_epi32(two(2, 6), two(3, 7)));
}
inline std::uint16_t max_of_u16(I v) {
  const __m128i b = _mm_max_epu16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  return static_cast<std::uint16_t>(~_mm_extract_epi16(_mm_minpos_epu16(_mm_xor_si128(b, _mm_set1_epi16(-1))), 0));
}
inline std::int16_t max_of_16(I v) { return static_cast<std::int16_t>(max_of_u16(xor_i(v, set16(-0x8000))) ^ 0x8000); }
inline std::int16_t min_of_16(I v) { return static_cast<std::int16_t>(max_of_u16(xor_i(v, set16(0x7fff))) ^ 0x7fff); }

}  // namespace sluice::kv::avx2
