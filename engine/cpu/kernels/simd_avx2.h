#pragma once
// Eight lanes: AVX2 and FMA.
#include <immintrin.h>

#include "engine/cpu/kernels/kernels.h"

namespace sluice::engine::cpu {
namespace {

struct Vi {
  __m256i v;
  static Vi load(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
  static Vi zero() { return {_mm256_setzero_si256()}; }
};

/// All ones in the first n lanes.
inline __m256i first_lanes(uint32_t n) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), index);
}

struct V {
  __m256 v;
  static constexpr uint32_t kLanes = 8;
  static V zero() { return {_mm256_setzero_ps()}; }
  static V set1(float f) { return {_mm256_set1_ps(f)}; }
  static V load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static V load_part(const float* p, uint32_t n) { return {_mm256_maskload_ps(p, first_lanes(n))}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store_part(float* p, uint32_t n) const { _mm256_maskstore_ps(p, first_lanes(n), v); }
};

constexpr const char* kName = "avx2";
constexpr uint32_t kTileRows = 6, kTileVectors = 2;

inline V operator+(V a, V b) { return {_mm256_add_ps(a.v, b.v)}; }
inline V operator-(V a, V b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline V operator*(V a, V b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline V operator/(V a, V b) { return {_mm256_div_ps(a.v, b.v)}; }
inline V fma(V a, V b, V c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline V max(V a, V b) { return {_mm256_max_ps(a.v, b.v)}; }
inline V min(V a, V b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Vi bits(V a) { return {_mm256_castps_si256(a.v)}; }
inline V floats(Vi a) { return {_mm256_castsi256_ps(a.v)}; }
inline Vi add_int(Vi a, Vi b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline Vi shift_left(Vi a, int n) { return {_mm256_slli_epi32(a.v, n)}; }
inline Vi upper_half(Vi a) { return {_mm256_and_si256(a.v, _mm256_set1_epi32(static_cast<int>(0xffff0000U)))}; }
/// a where x >= limit, else 0.
inline V keep_if_ge(V a, V x, V limit) { return {_mm256_and_ps(a.v, _mm256_cmp_ps(x.v, limit.v, _CMP_GE_OQ))}; }
inline float sum(V a) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline float largest(V a) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
inline V widen_bf16(const uint16_t* p) {
  const __m256i w = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(w, 16))};
}

inline void transpose(Vi (&r)[V::kLanes]) {
  __m256i a[8];
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm256_unpacklo_epi32(r[2 * i].v, r[2 * i + 1].v);
    a[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i].v, r[2 * i + 1].v);
  }
  __m256i b[8];
#pragma GCC unroll 8
  for (int h = 0; h < 2; ++h) {
    b[4 * h] = _mm256_unpacklo_epi64(a[4 * h], a[4 * h + 2]);
    b[4 * h + 1] = _mm256_unpackhi_epi64(a[4 * h], a[4 * h + 2]);
    b[4 * h + 2] = _mm256_unpacklo_epi64(a[4 * h + 1], a[4 * h + 3]);
    b[4 * h + 3] = _mm256_unpackhi_epi64(a[4 * h + 1], a[4 * h + 3]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) {
    r[i].v = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
    r[i + 4].v = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
  }
}

/// Round to nearest even by integer arithmetic (denormals kept, NaN quiet), as engine/dtype.h does.
inline __m128i narrow_bf16(V a) {
  const __m256i u = _mm256_castps_si256(a.v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  __m256i r = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q));
  r = _mm256_srli_epi32(_mm256_blendv_epi8(r, quiet, nan), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
}
inline void store_bf16(uint16_t* p, V a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow_bf16(a)); }
inline void store_bf16_part(uint16_t* p, V a, uint32_t n) {
  uint16_t t[8];
  store_bf16(t, a);
  for (uint32_t i = 0; i < n; ++i) p[i] = t[i];
}

}  // namespace
}  // namespace sluice::engine::cpu
