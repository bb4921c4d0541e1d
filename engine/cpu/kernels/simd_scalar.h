#pragma once
// One-lane "vectors": the portable backend, and the plainest reading of what the others do.
#include "engine/cpu/kernels/kernels.h"

namespace sluice::engine::cpu {
namespace {

struct Vi {
  uint32_t v;
  static Vi load(const void* p) {
    Vi r;
    __builtin_memcpy(&r.v, p, 4);
    return r;
  }
  static Vi zero() { return {0}; }
};

struct V {
  float v;
  static constexpr uint32_t kLanes = 1;
  static V zero() { return {0.0F}; }
  static V set1(float f) { return {f}; }
  static V load(const float* p) { return {*p}; }
  static V load_part(const float* p, uint32_t) { return {*p}; }
  void store(float* p) const { *p = v; }
  void store_part(float* p, uint32_t) const { *p = v; }
};

constexpr const char* kName = "scalar";
constexpr uint32_t kTileRows = 4, kTileVectors = 8;

inline V operator+(V a, V b) { return {a.v + b.v}; }
inline V operator-(V a, V b) { return {a.v - b.v}; }
inline V operator*(V a, V b) { return {a.v * b.v}; }
inline V operator/(V a, V b) { return {a.v / b.v}; }
inline V fma(V a, V b, V c) { return {a.v * b.v + c.v}; }
inline V max(V a, V b) { return {a.v > b.v ? a.v : b.v}; }
inline V min(V a, V b) { return {a.v < b.v ? a.v : b.v}; }
inline Vi bits(V a) { return {__builtin_bit_cast(uint32_t, a.v)}; }
inline V floats(Vi a) { return {__builtin_bit_cast(float, a.v)}; }
inline Vi add_int(Vi a, Vi b) { return {a.v + b.v}; }
inline Vi shift_left(Vi a, int n) { return {a.v << n}; }
inline Vi upper_half(Vi a) { return {a.v & 0xffff0000U}; }
/// a where x >= limit, else 0.
inline V keep_if_ge(V a, V x, V limit) { return {x.v >= limit.v ? a.v : 0.0F}; }
inline float sum(V a) { return a.v; }
inline float largest(V a) { return a.v; }
inline V widen_bf16(const uint16_t* p) { return {__builtin_bit_cast(float, static_cast<uint32_t>(*p) << 16)}; }
inline void transpose(Vi (&)[V::kLanes]) {}

inline uint16_t narrow_bf16(float f) {
  const auto u = __builtin_bit_cast(uint32_t, f);
  if ((u & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((u >> 16) | 0x40U);
  return static_cast<uint16_t>((u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
}
inline void store_bf16(uint16_t* p, V a) { *p = narrow_bf16(a.v); }
inline void store_bf16_part(uint16_t* p, V a, uint32_t) { *p = narrow_bf16(a.v); }

}  // namespace
}  // namespace sluice::engine::cpu
