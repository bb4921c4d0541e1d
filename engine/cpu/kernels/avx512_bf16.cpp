// bf16 products by VDPBF16PS: each step adds two products to an f32 sum (inputs' denormals read as zero).
#include "engine/cpu/kernels/simd_avx512.h"

namespace sluice::engine::cpu {
namespace {

constexpr uint32_t kCols = kTileVectors * V::kLanes;
constexpr uint32_t kRowWords = kRowBytes / 4;

void pack_row(const float* x, uint32_t count, void* a_) {
  auto* a = static_cast<uint16_t*>(a_);
  uint32_t i = 0;
  for (; i + V::kLanes <= count; i += V::kLanes) store_bf16(a + i, V::load(x + i));
  if (i < count) store_bf16_part(a + i, V::load_part(x + i, count - i), count - i);
  if (count % 2 != 0) a[count] = 0;
}

/// a: [kRows][kRowWords] bf16 pairs; b: [steps][kCols] bf16 pairs.
template <uint32_t kRows>
void tile(const TileArgs& t) {
  const auto* a = static_cast<const int*>(t.a);
  const auto* b = static_cast<const uint32_t*>(t.b);
  const char* ahead = t.ahead;
  const size_t steps = t.steps, ahead_stride = t.ahead_stride;
  __m512 acc[kRows][kTileVectors];
#pragma GCC unroll 16
  for (uint32_t r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (uint32_t j = 0; j < kTileVectors; ++j)
      acc[r][j] = t.accumulate ? _mm512_loadu_ps(t.c + r * t.ldc + j * V::kLanes) : _mm512_setzero_ps();
  for (size_t s = 0; s < steps; ++s) {
    __builtin_prefetch(ahead, 0, 2);
    __builtin_prefetch(ahead + 64, 0, 2);
    ahead += ahead_stride;
    __m512i bv[kTileVectors];
#pragma GCC unroll 8
    for (uint32_t j = 0; j < kTileVectors; ++j) bv[j] = _mm512_loadu_si512(b + s * kCols + j * V::kLanes);
#pragma GCC unroll 16
    for (uint32_t r = 0; r < kRows; ++r) {
      const __m512i av = _mm512_set1_epi32(a[size_t{r} * kRowWords + s]);
#pragma GCC unroll 8
      for (uint32_t j = 0; j < kTileVectors; ++j)
        acc[r][j] = _mm512_dpbf16_ps(acc[r][j], (__m512bh)av, (__m512bh)bv[j]);
    }
  }
#pragma GCC unroll 16
  for (uint32_t r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (uint32_t j = 0; j < kTileVectors; ++j) _mm512_storeu_ps(t.c + r * t.ldc + j * V::kLanes, acc[r][j]);
}

template <uint32_t kRows = kTileRows>
constexpr void fill(MatmulKernel& k) {
  k.tile[kRows] = tile<kRows>;
  if constexpr (kRows > 1) fill<kRows - 1>(k);
}

constexpr MatmulKernel make() {
  MatmulKernel k{kTileRows, kCols, 2, kRowBytes / 2, pack_row, {}};
  fill(k);
  return k;
}

constexpr MatmulKernel kMatmul = make();

}  // namespace

const MatmulKernel& avx512_bf16_matmul() { return kMatmul; }

}  // namespace sluice::engine::cpu
