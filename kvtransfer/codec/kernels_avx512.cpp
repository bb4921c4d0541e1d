// The kernels for AVX-512 (F, BW, VL, DQ).
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kvtransfer/codec/bf16.h"
#include "kvtransfer/codec/bytes.h"
#include "kvtransfer/codec/kernel_tables.h"
#include "kvtransfer/codec/prefetch.h"
#include "kvtransfer/codec/vector_avx512.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels_generic.inl"
using namespace avx512;
#include "kvtransfer/codec/kernels_vector.inl"
#include "kvtransfer/codec/kernels_vector_absmax.inl"
#include "kvtransfer/codec/kernels_vector_minmax.inl"

void ll_split(const std::byte* in, std::size_t n, std::byte* exponents, std::byte* rest) {
  const std::size_t whole = n / 32 * 32;
  for (std::size_t i = 0; i < whole; i += 32) {
    const __m512i v = load(in + 2 * i);
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
    const __m512i e = _mm512_slli_epi16(_mm512_cvtepu8_epi16(load_half(exponents + i)), 7);
    // Sign-extending moves the sign where it belongs and leaves bits to clear between.
    const __m512i r =
        _mm512_and_si512(_mm512_cvtepi8_epi16(load_half(rest + i)), _mm512_set1_epi16(static_cast<short>(0x807f)));
    _mm512_storeu_si512(out + 2 * i, _mm512_or_si512(e, r));
  }
  ll_join_range(exponents, rest, whole, n, out);
}

}  // namespace

/// Without the book quantizers, which have a file of their own.
const Kernels kKernelsAvx512 = {.isa = Isa::avx512,
                                .absmax8_page_encode = absmax8_page_encode,
                                .absmax8_page_decode = absmax8_page_decode,
                                .absmax8_encode = absmax8_encode,
                                .absmax8_decode = absmax8_decode,
                                .absmax4_encode = absmax4_encode,
                                .absmax4_decode = absmax4_decode,
                                .fp8_encode = fp8_encode,
                                .fp8_decode = fp8_decode,
                                .minmax_page_encode = minmax_page_encode,
                                .minmax_page_decode = minmax_page_decode,
                                .minmax_encode = minmax_encode,
                                .minmax_decode = minmax_decode,
                                .pack = pack_generic,
                                .unpack = unpack_generic,
                                .ll_split = ll_split,
                                .ll_join = ll_join};

}  // namespace sluice::kv
