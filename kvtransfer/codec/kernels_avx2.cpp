// The generic kernels, vectorised by the compiler for AVX2 (this file's flags are in CMakeLists.txt), but for the
// transform, whose first stages it cannot see through.
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "kvtransfer/codec/bf16.h"
#include "kvtransfer/codec/bytes.h"
#include "kvtransfer/codec/kernel_tables.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels_book.inl"

/// One stage inside a register: partner + self where the partner is above, partner - self where it is below.
template <int kDistance>
inline __m256 stage(__m256 x) {
  alignas(32) static constexpr auto sign = [] {
    std::array<float, 8> s{};
    for (int i = 0; i < 8; ++i) s[i] = (i & kDistance) ? -1.0F : 1.0F;
    return s;
  }();
  __m256 t;
  if constexpr (kDistance == 1) t = _mm256_permute_ps(x, 0xb1);
  if constexpr (kDistance == 2) t = _mm256_permute_ps(x, 0x4e);
  if constexpr (kDistance == 4) t = _mm256_permute2f128_ps(x, x, 0x01);
  return _mm256_fmadd_ps(x, _mm256_load_ps(sign.data()), t);
}

/// As fwht().
void fwht_avx2(float* y, std::uint32_t count, std::uint32_t block) {
  if (block < 8) return fwht(y, count, block);
  for (std::uint32_t i = 0; i < count; i += 8)
    _mm256_storeu_ps(y + i, stage<4>(stage<2>(stage<1>(_mm256_loadu_ps(y + i)))));
  for (std::uint32_t h = 8; h < block; h *= 2)
    for (std::uint32_t i = 0; i < count; i += 2 * h)
      for (std::uint32_t j = i; j < i + h; j += 8) {
        const __m256 u = _mm256_loadu_ps(y + j), v = _mm256_loadu_ps(y + j + h);
        _mm256_storeu_ps(y + j, _mm256_add_ps(u, v));
        _mm256_storeu_ps(y + j + h, _mm256_sub_ps(u, v));
      }
}

}  // namespace

const Kernels kKernelsAvx2 = {.isa = Isa::avx2,
                              .absmax8_page_encode = absmax8_page_encode_generic,
                              .absmax8_page_decode = absmax8_page_decode_generic,
                              .absmax8_row_encode = absmax8_row_encode_generic,
                              .absmax8_row_decode = absmax8_row_decode_generic,
                              .absmax4_row_encode = absmax4_row_encode_generic,
                              .absmax4_row_decode = absmax4_row_decode_generic,
                              .fp8_row_encode = fp8_row_encode_generic,
                              .fp8_row_decode = fp8_row_decode_generic,
                              .minmax_page_encode = minmax_page_encode_generic,
                              .minmax_page_decode = minmax_page_decode_generic,
                              .minmax_row_encode = minmax_row_encode_generic,
                              .minmax_row_decode = minmax_row_decode_generic,
                              .book_encode = book_encode_with<fwht_avx2>,
                              .book_decode = book_decode_with<fwht_avx2>,
                              .book_encode_packed = book_encode_packed_with<fwht_avx2>,
                              .book_decode_packed = book_decode_packed_with<fwht_avx2>,
                              .pack = pack_generic,
                              .unpack = unpack_generic,
                              .row_forward = row_forward_with<fwht_avx2>,
                              .row_backward = row_backward_with<fwht_avx2>,
                              .ll_split = ll_split_generic,
                              .ll_join = ll_join_generic};

}  // namespace sluice::kv
