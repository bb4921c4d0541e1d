#pragma once
// Vectors whose lanes are bytes, for the coder and exponent kernels in AVX2; beside those of vector_avx2.h.
#include "kvtransfer/codec/kernels/vector_avx2.h"

namespace sluice::kv::avx2 {

inline __m256i bytes_of(std::uint8_t b) { return _mm256_set1_epi8(static_cast<char>(b)); }
inline std::uint32_t bits(__m256i mask) { return static_cast<std::uint32_t>(_mm256_movemask_epi8(mask)); }
inline __m256i low_byte() { return _mm256_set1_epi16(0xff); }
/// Bytes at even and at odd places, as 16 bits each.
inline __m256i evens(__m256i v) { return _mm256_and_si256(v, low_byte()); }
inline __m256i odds(__m256i v) { return _mm256_srli_epi16(v, 8); }

}  // namespace sluice::kv::avx2
