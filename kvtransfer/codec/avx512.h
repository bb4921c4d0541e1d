#pragma once
// bf16 in AVX-512 registers; only for the files compiled for it.
#include <immintrin.h>

#include <cstdint>

namespace sluice::kv::avx512 {

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

}  // namespace sluice::kv::avx512
