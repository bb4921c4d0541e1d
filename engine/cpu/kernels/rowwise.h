#pragma once
// Row-wise operations over V (include a simd_*.h first), and the exponential they share.
#include "engine/cpu/kernels/kernels.h"

namespace sluice::engine::cpu {
namespace {

constexpr float kLog2e = 1.44269504088896341F;

/// 2^x; 0 below -125, 2^127 above 127. Exact at integers. The polynomial is Cephes exp2f's (relative error 2e-7).
inline V exp2(V x) {
  const V magic = V::set1(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
  const V limit = V::set1(-125.0F);
  const V c = min(max(x, limit), V::set1(127.0F));
  const V rounded = c + magic;
  const V f = c - (rounded - magic);
  V p = V::set1(1.535336188319500E-4F);
  p = fma(p, f, V::set1(1.339887440266574E-3F));
  p = fma(p, f, V::set1(9.618437357674640E-3F));
  p = fma(p, f, V::set1(5.550332471162809E-2F));
  p = fma(p, f, V::set1(2.402264791363012E-1F));
  p = fma(p, f, V::set1(6.931472028550421E-1F));
  p = fma(p, f, V::set1(1.0F));
  // The magic's own bits vanish in the shift: 0x4b400000 << 23 is 0 (mod 2^32).
  p = floats(add_int(bits(p), shift_left(bits(rounded), 23)));
  return keep_if_ge(p, x, limit);
}

void rms_norm_row(const float* x, const float* weight, float eps, float* y, uint32_t width) {
  constexpr uint32_t kL = V::kLanes;
  V s[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  uint32_t i = 0;
  for (; i + 4 * kL <= width; i += 4 * kL)
    for (uint32_t j = 0; j < 4; ++j) {
      const V v = V::load(x + i + j * kL);
      s[j] = fma(v, v, s[j]);
    }
  for (; i + kL <= width; i += kL) {
    const V v = V::load(x + i);
    s[0] = fma(v, v, s[0]);
  }
  if (i < width) {
    const V v = V::load_part(x + i, width - i);
    s[1] = fma(v, v, s[1]);
  }
  const float mean = sum((s[0] + s[1]) + (s[2] + s[3])) / static_cast<float>(width);
  const V scale = V::set1(1.0F / __builtin_sqrtf(mean + eps));
  for (i = 0; i + kL <= width; i += kL) (V::load(x + i) * scale * V::load(weight + i)).store(y + i);
  if (i < width) {
    const uint32_t n = width - i;
    (V::load_part(x + i, n) * scale * V::load_part(weight + i, n)).store_part(y + i, n);
  }
}

void rope_row(float* x, uint32_t heads, uint32_t head_dim, const float* cos, const float* sin) {
  constexpr uint32_t kL = V::kLanes;
  const uint32_t half = head_dim / 2;
  for (uint32_t h = 0; h < heads; ++h) {
    float* lo = x + size_t{h} * head_dim;
    float* hi = lo + half;
    for (uint32_t i = 0; i < half; i += kL) {
      const uint32_t n = half - i < kL ? half - i : kL;
      const V a = V::load_part(lo + i, n), b = V::load_part(hi + i, n);
      const V c = V::load_part(cos + i, n), s = V::load_part(sin + i, n);
      (a * c - b * s).store_part(lo + i, n);
      (b * c + a * s).store_part(hi + i, n);
    }
  }
}

inline V silu(V x) { return x / (V::set1(1.0F) + exp2(x * V::set1(-kLog2e))); }

void silu_mul_row(const float* gate, const float* up, float* y, uint32_t n) {
  constexpr uint32_t kL = V::kLanes;
  uint32_t i = 0;
  for (; i + kL <= n; i += kL) (silu(V::load(gate + i)) * V::load(up + i)).store(y + i);
  if (i < n) (silu(V::load_part(gate + i, n - i)) * V::load_part(up + i, n - i)).store_part(y + i, n - i);
}

void add_all(float* x, const float* y, size_t n) {
  constexpr uint32_t kL = V::kLanes;
  size_t i = 0;
  for (; i + kL <= n; i += kL) (V::load(x + i) + V::load(y + i)).store(x + i);
  for (; i < n; ++i) x[i] += y[i];
}

void to_bf16_all(const float* x, uint16_t* y, size_t n) {
  constexpr uint32_t kL = V::kLanes;
  size_t i = 0;
  for (; i + kL <= n; i += kL) store_bf16(y + i, V::load(x + i));
  if (i < n) {
    const auto part = static_cast<uint32_t>(n - i);
    store_bf16_part(y + i, V::load_part(x + i, part), part);
  }
}

}  // namespace
}  // namespace sluice::engine::cpu
