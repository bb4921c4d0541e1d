#pragma once
// Vectors whose lanes are bytes, for the coder and exponent kernels in AVX-512 (with BMI2); beside those of
// vector_avx512.h.
#include <cstddef>

#include "kvtransfer/codec/kernels/vector_avx512.h"

namespace sluice::kv::avx512 {

/// The first n lanes; n <= 64.
inline __mmask64 first(std::size_t n) { return _bzhi_u64(~0ULL, static_cast<unsigned>(n)); }
/// mask ? a : b, bit by bit.
inline __m512i select(__m512i mask, __m512i a, __m512i b) { return _mm512_ternarylogic_epi32(mask, a, b, 0xca); }

}  // namespace sluice::kv::avx512
