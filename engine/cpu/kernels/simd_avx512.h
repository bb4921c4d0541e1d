#pragma once
// Sixteen lanes: AVX-512 F, BW, DQ, VL.
#include <immintrin.h>

#include "engine/cpu/kernels/kernels.h"

namespace sluice::engine::cpu {
namespace {

struct Vi {
  __m512i v;
  static Vi load(const void* p) { return {_mm512_loadu_si512(p)}; }
  static Vi zero() { return {_mm512_setzero_si512()}; }
};

inline __mmask16 first_lanes(uint32_t n) { return static_cast<__mmask16>((1U << n) - 1); }

struct V {
  __m512 v;
  static constexpr uint32_t kLanes = 16;
  static V zero() { return {_mm512_setzero_ps()}; }
  static V set1(float f) { return {_mm512_set1_ps(f)}; }
  static V load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static V load_part(const float* p, uint32_t n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_part(float* p, uint32_t n) const { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
};

constexpr const char* kName = "avx512";
constexpr uint32_t kTileRows = 12, kTileVectors = 2;

inline V operator+(V a, V b) { return {_mm512_add_ps(a.v, b.v)}; }
inline V operator-(V a, V b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline V operator*(V a, V b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline V operator/(V a, V b) { return {_mm512_div_ps(a.v, b.v)}; }
inline V fma(V a, V b, V c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline V max(V a, V b) { return {_mm512_max_ps(a.v, b.v)}; }
inline V min(V a, V b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vi bits(V a) { return {_mm512_castps_si512(a.v)}; }
inline V floats(Vi a) { return {_mm512_castsi512_ps(a.v)}; }
inline Vi add_int(Vi a, Vi b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline Vi shift_left(Vi a, int n) { return {_mm512_slli_epi32(a.v, static_cast<unsigned>(n))}; }
inline Vi upper_half(Vi a) { return {_mm512_and_si512(a.v, _mm512_set1_epi32(static_cast<int>(0xffff0000U)))}; }
/// a where x >= limit, else 0.
inline V keep_if_ge(V a, V x, V limit) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, limit.v, _CMP_GE_OQ), a.v)};
}
inline float sum(V a) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline float largest(V a) { return _mm512_reduce_max_ps(a.v); }
inline V widen_bf16(const uint16_t* p) {
  const __m512i w = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(w, 16))};
}

inline void transpose(Vi (&r)[V::kLanes]) {
  __m512i a[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    a[2 * i] = _mm512_unpacklo_epi32(r[2 * i].v, r[2 * i + 1].v);
    a[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i].v, r[2 * i + 1].v);
  }
  __m512i b[16];  // b[4 g + j]: rows 4 g .. 4 g + 3 of columns j, j + 4, j + 8, j + 12
#pragma GCC unroll 8
  for (int g = 0; g < 4; ++g) {
    b[4 * g] = _mm512_unpacklo_epi64(a[4 * g], a[4 * g + 2]);
    b[4 * g + 1] = _mm512_unpackhi_epi64(a[4 * g], a[4 * g + 2]);
    b[4 * g + 2] = _mm512_unpacklo_epi64(a[4 * g + 1], a[4 * g + 3]);
    b[4 * g + 3] = _mm512_unpackhi_epi64(a[4 * g + 1], a[4 * g + 3]);
  }
#pragma GCC unroll 8
  for (int j = 0; j < 4; ++j) {
    const __m512i lo02 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88), lo13 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xdd);
    const __m512i hi02 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88),
                  hi13 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xdd);
    r[j].v = _mm512_shuffle_i32x4(lo02, hi02, 0x88);
    r[4 + j].v = _mm512_shuffle_i32x4(lo13, hi13, 0x88);
    r[8 + j].v = _mm512_shuffle_i32x4(lo02, hi02, 0xdd);
    r[12 + j].v = _mm512_shuffle_i32x4(lo13, hi13, 0xdd);
  }
}

/// Round to nearest even by integer arithmetic (denormals kept, NaN quiet), as engine/dtype.h does; VCVTNEPS2BF16
/// would flush denormals.
inline __m256i narrow_bf16(V a) {
  const __m512i u = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  __m512i r = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  r = _mm512_mask_or_epi32(r, _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q), u, _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(r, 16));
}
inline void store_bf16(uint16_t* p, V a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow_bf16(a)); }
inline void store_bf16_part(uint16_t* p, V a, uint32_t n) {
  _mm256_mask_storeu_epi16(p, first_lanes(n), narrow_bf16(a));
}

}  // namespace
}  // namespace sluice::engine::cpu
