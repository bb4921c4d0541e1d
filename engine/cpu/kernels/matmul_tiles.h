#pragma once
// Matrix tiles over V (include a simd_*.h first). Every element is one chain over k; see TileFn.
#include "engine/cpu/kernels/kernels.h"

namespace sluice::engine::cpu {
namespace {

constexpr uint32_t kCols = kTileVectors * V::kLanes;

[[gnu::always_inline]] inline void fetch_ahead(const TileArgs& t, size_t step) {
  const char* at = t.ahead + step * t.ahead_stride;
  __builtin_prefetch(at, 0, 2);
  __builtin_prefetch(at + 64, 0, 2);
}

/// acc[r][j] += a[r] * b[j] for one value of k.
template <uint32_t kRows>
[[gnu::always_inline]] inline void rank1(V (&acc)[kRows][kTileVectors], const float* a, const V (&b)[kTileVectors]) {
#pragma GCC unroll 16
  for (uint32_t r = 0; r < kRows; ++r) {
    const V av = V::set1(a[size_t{r} * kRowFloats]);
#pragma GCC unroll 8
    for (uint32_t j = 0; j < kTileVectors; ++j) acc[r][j] = fma(av, b[j], acc[r][j]);
  }
}

template <uint32_t kRows>
[[gnu::always_inline]] inline void load_tile(V (&acc)[kRows][kTileVectors], const float* c, size_t ldc, bool keep) {
#pragma GCC unroll 16
  for (uint32_t r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (uint32_t j = 0; j < kTileVectors; ++j) acc[r][j] = keep ? V::load(c + r * ldc + j * V::kLanes) : V::zero();
}

template <uint32_t kRows>
[[gnu::always_inline]] inline void store_tile(const V (&acc)[kRows][kTileVectors], float* c, size_t ldc) {
#pragma GCC unroll 16
  for (uint32_t r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (uint32_t j = 0; j < kTileVectors; ++j) acc[r][j].store(c + r * ldc + j * V::kLanes);
}

/// a: [kRows][kRowFloats] f32; b: [steps][kCols] f32.
template <uint32_t kRows>
void tile_f32(const TileArgs& t) {
  const auto* a = static_cast<const float*>(t.a);
  const auto* b = static_cast<const float*>(t.b);
  V acc[kRows][kTileVectors];
  load_tile<kRows>(acc, t.c, t.ldc, t.accumulate);
  const size_t steps = t.steps;
  for (size_t s = 0; s < steps; ++s) {
    fetch_ahead(t, s);
    V bv[kTileVectors];
#pragma GCC unroll 8
    for (uint32_t j = 0; j < kTileVectors; ++j) bv[j] = V::load(b + s * kCols + j * V::kLanes);
    rank1<kRows>(acc, a + s, bv);
  }
  store_tile<kRows>(acc, t.c, t.ldc);
}

/// a: [kRows][kRowFloats] f32 holding bf16 values; b: [steps][kCols] bf16 pairs, widened here.
template <uint32_t kRows>
void tile_bf16_by_fma(const TileArgs& t) {
  const auto* a = static_cast<const float*>(t.a);
  const auto* b = static_cast<const uint32_t*>(t.b);
  V acc[kRows][kTileVectors];
  load_tile<kRows>(acc, t.c, t.ldc, t.accumulate);
  const size_t steps = t.steps;
  for (size_t s = 0; s < steps; ++s) {
    fetch_ahead(t, s);
    // One half at a time: with eight lanes there are registers for no more.
    V half[kTileVectors];
#pragma GCC unroll 8
    for (uint32_t j = 0; j < kTileVectors; ++j)
      half[j] = floats(shift_left(Vi::load(b + s * kCols + j * V::kLanes), 16));
    rank1<kRows>(acc, a + 2 * s, half);
#pragma GCC unroll 8
    for (uint32_t j = 0; j < kTileVectors; ++j) half[j] = floats(upper_half(Vi::load(b + s * kCols + j * V::kLanes)));
    rank1<kRows>(acc, a + 2 * s + 1, half);
  }
  store_tile<kRows>(acc, t.c, t.ldc);
}

void pack_row_f32(const float* x, uint32_t count, void* a) { __builtin_memcpy(a, x, size_t{count} * 4); }

/// Rounds to bf16 and widens again.
void pack_row_bf16_as_f32(const float* x, uint32_t count, void* a_) {
  auto* a = static_cast<float*>(a_);
  uint16_t narrow[V::kLanes];
  uint32_t i = 0;
  for (; i + V::kLanes <= count; i += V::kLanes) {
    store_bf16(narrow, V::load(x + i));
    widen_bf16(narrow).store(a + i);
  }
  if (i < count) {
    store_bf16(narrow, V::load_part(x + i, count - i));
    widen_bf16(narrow).store_part(a + i, count - i);
  }
  if (count % 2 != 0) a[count] = 0.0F;
}

template <uint32_t kRows = kTileRows>
constexpr void fill_f32(MatmulKernel& k) {
  k.tile[kRows] = tile_f32<kRows>;
  if constexpr (kRows > 1) fill_f32<kRows - 1>(k);
}

template <uint32_t kRows = kTileRows>
constexpr void fill_bf16_by_fma(MatmulKernel& k) {
  k.tile[kRows] = tile_bf16_by_fma<kRows>;
  if constexpr (kRows > 1) fill_bf16_by_fma<kRows - 1>(k);
}

constexpr MatmulKernel make_f32_matmul() {
  MatmulKernel k{kTileRows, kCols, 1, kRowFloats, pack_row_f32, {}};
  fill_f32(k);
  return k;
}

constexpr MatmulKernel kF32Matmul = make_f32_matmul();

constexpr MatmulKernel make_bf16_matmul() {
  MatmulKernel k{kTileRows, kCols, 2, kRowFloats, pack_row_bf16_as_f32, {}};
  fill_bf16_by_fma(k);
  return k;
}

}  // namespace
}  // namespace sluice::engine::cpu
