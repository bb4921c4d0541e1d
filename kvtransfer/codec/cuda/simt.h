#pragma once
// The few things that kernels need and host compilers spell otherwise. The .cuh headers beside this one are compiled
// twice: by nvcc for the device, and by the tests' host compiler, where class X (see kernels.cu and the tests'
// emulation) runs the threads of a block one by one between barriers.
//
// X: thread(), lane(), block(); shfl_xor(v, mask), shfl(v, lane), ballot(bool) over all 32 lanes of a warp;
// sync_warp(), sync_block(); flag(error word, DecodeError).
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define SLUICE_DEVICE __device__ __forceinline__
#define SLUICE_UNROLL _Pragma("unroll")
#else
#define SLUICE_DEVICE inline
#define SLUICE_UNROLL
#endif

namespace sluice::kv::cuda {

SLUICE_DEVICE float as_float(std::uint32_t u) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(u);
#else
  float f;
  std::memcpy(&f, &u, 4);
  return f;
#endif
}
SLUICE_DEVICE std::uint32_t as_bits(float f) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(f);
#else
  std::uint32_t u;
  std::memcpy(&u, &f, 4);
  return u;
#endif
}

/// IEEE, also where somebody adds fast-math. Products and sums are compiled without contraction (-fmad=false).
SLUICE_DEVICE float root(float a) {
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(a);
#else
  return std::sqrt(a);
#endif
}
SLUICE_DEVICE float quotient(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fdiv_rn(a, b);
#else
  return a / b;
#endif
}
/// a + b or a - b by sign = 1 or -1: the product is exact, so one rounding as in a sum.
SLUICE_DEVICE float add_signed(float a, float b, float sign) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(b, sign, a);
#else
  return a + b * sign;
#endif
}

/// Byte i of the result is byte (selector >> 4 i & 7) of b : a.
SLUICE_DEVICE std::uint32_t pick_bytes(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
#if defined(__CUDA_ARCH__)
  return __byte_perm(a, b, selector);
#else
  const std::uint64_t both = std::uint64_t{b} << 32 | a;
  std::uint32_t r = 0;
  for (int i = 0; i < 4; ++i) r |= static_cast<std::uint32_t>(both >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
  return r;
#endif
}
/// The larger of each 16-bit half.
SLUICE_DEVICE std::uint32_t max_halves(std::uint32_t a, std::uint32_t b) {
#if defined(__CUDA_ARCH__)
  return __vmaxu2(a, b);
#else
  const std::uint32_t al = a & 0xffff, bl = b & 0xffff, ah = a >> 16, bh = b >> 16;
  return (al > bl ? al : bl) | (ah > bh ? ah : bh) << 16;
#endif
}
SLUICE_DEVICE std::uint32_t count_bits(std::uint32_t v) {
#if defined(__CUDA_ARCH__)
  return static_cast<std::uint32_t>(__popc(v));
#else
  return static_cast<std::uint32_t>(__builtin_popcount(v));
#endif
}

SLUICE_DEVICE std::uint32_t least(std::uint32_t a, std::uint32_t b) { return a < b ? a : b; }
SLUICE_DEVICE std::uint64_t up16(std::uint64_t n) { return (n + 15) & ~std::uint64_t{15}; }

/// kWords 32-bit words from or to an address aligned to them (at most 16 bytes a time).
template <int kWords>
SLUICE_DEVICE void load_words(const void* from, std::uint32_t* to) {
  static_assert(kWords == 1 || kWords == 2 || kWords % 4 == 0, "whole accesses");
#if defined(__CUDA_ARCH__)
  if constexpr (kWords == 1) {
    to[0] = *static_cast<const std::uint32_t*>(from);
  } else if constexpr (kWords == 2) {
    const uint2 v = *static_cast<const uint2*>(from);
    to[0] = v.x, to[1] = v.y;
  } else {
    SLUICE_UNROLL
    for (int i = 0; i < kWords / 4; ++i) {
      const uint4 v = static_cast<const uint4*>(from)[i];
      to[4 * i] = v.x, to[4 * i + 1] = v.y, to[4 * i + 2] = v.z, to[4 * i + 3] = v.w;
    }
  }
#else
  std::memcpy(to, from, 4 * kWords);
#endif
}
template <int kWords>
SLUICE_DEVICE void store_words(void* to, const std::uint32_t* from) {
  static_assert(kWords == 1 || kWords == 2 || kWords % 4 == 0, "whole accesses");
#if defined(__CUDA_ARCH__)
  if constexpr (kWords == 1) {
    *static_cast<std::uint32_t*>(to) = from[0];
  } else if constexpr (kWords == 2) {
    *static_cast<uint2*>(to) = make_uint2(from[0], from[1]);
  } else {
    SLUICE_UNROLL
    for (int i = 0; i < kWords / 4; ++i)
      static_cast<uint4*>(to)[i] = make_uint4(from[4 * i], from[4 * i + 1], from[4 * i + 2], from[4 * i + 3]);
  }
#else
  std::memcpy(to, from, 4 * kWords);
#endif
}
template <class T>
SLUICE_DEVICE T load_as(const void* from) {
  T v;
#if defined(__CUDA_ARCH__)
  v = *static_cast<const T*>(from);
#else
  std::memcpy(&v, from, sizeof(T));
#endif
  return v;
}
template <class T>
SLUICE_DEVICE void store_as(void* to, T v) {
#if defined(__CUDA_ARCH__)
  *static_cast<T*>(to) = v;
#else
  std::memcpy(to, &v, sizeof(T));
#endif
}
/// At any alignment.
SLUICE_DEVICE std::uint32_t load_u32_bytes(const std::uint8_t* p) {
  return p[0] | static_cast<std::uint32_t>(p[1]) << 8 | static_cast<std::uint32_t>(p[2]) << 16 |
         static_cast<std::uint32_t>(p[3]) << 24;
}
SLUICE_DEVICE void store_u32_bytes(std::uint8_t* p, std::uint32_t v) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<std::uint8_t>(v >> 8 * i);
}

// ---- bf16 as in kvtransfer/codec/kernels/bf16.h, which device code cannot include ----------------------------------

SLUICE_DEVICE float from_bf16(std::uint32_t bits) { return as_float(bits << 16); }
SLUICE_DEVICE std::uint32_t to_bf16(float f) {
  const std::uint32_t u = as_bits(f);
  return (u + 0x7fffU + (u >> 16 & 1U)) >> 16;
}
SLUICE_DEVICE std::uint32_t to_bf16_up(float f) { return (as_bits(f) + 0xffffU) >> 16; }
constexpr std::uint32_t kMinNormal = 0x0080, kMostFinite = 0x7f7f, kInfinite = 0x7f80, kMaxAbsmaxScale = 0x7b00;
SLUICE_DEVICE bool scale_is_good(std::uint32_t bits, std::uint32_t max) {
  return bits == 0 || (bits >= kMinNormal && bits <= max);
}
/// Nearest integer, ties to even, for |v| < 2^22.
SLUICE_DEVICE float round_to_even(float v) { return (v + 12582912.0F) - 12582912.0F; }

}  // namespace sluice::kv::cuda
