#pragma once
// Random inputs, backends to try, and a paged KV pool for the CPU kernels' tests.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/cpu/cpu_ops.h"
#include "tests/support/skip.h"

namespace sluice::engine::test {

inline std::vector<float> random_values(std::size_t n, std::uint32_t seed, float spread = 1.0F) {
  std::mt19937 gen(seed);
  std::normal_distribution<float> d(0.0F, spread);
  std::vector<float> v(n);
  for (float& f : v) f = d(gen);
  return v;
}

inline float as_bf16(float f) { return bf16_to_f32(f32_to_bf16(f)); }

/// Null where this machine lacks the instruction set; every other failure fails the test.
inline std::unique_ptr<Ops> ops_for(const std::string& isa, Precision p, std::uint32_t threads) {
  auto ops = make_cpu_ops(p, isa, threads);
  if (ops) return std::move(*ops);
  if (ops.error().code != Errc::unsupported) FAIL(ops.error().message);
  return nullptr;
}

inline bool same_bits(const float* a, const float* b, std::size_t n) {
  return std::memcmp(a, b, n * sizeof(float)) == 0;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && same_bits(a.data(), b.data(), a.size());
}

}  // namespace sluice::engine::test

/// One TEST_CASE per instruction set, so that ctest counts what was skipped; the body sees `isa`.
#define FOR_EACH_ISA(name, body)                                                              \
  static void body(const std::string& isa);                                                   \
  static void body##_or_skip(const std::string& isa) {                                        \
    if (::sluice::engine::test::ops_for(isa, ::sluice::engine::Precision::f32, 1) == nullptr) \
      SLUICE_SKIP("this CPU lacks the instruction set");                                      \
    body(isa);                                                                                \
  }                                                                                           \
  TEST_CASE(name " (scalar)", "[engine_cpu]") { body##_or_skip("scalar"); }                   \
  TEST_CASE(name " (avx2)", "[engine_cpu]") { body##_or_skip("avx2"); }                       \
  TEST_CASE(name " (avx512)", "[engine_cpu]") { body##_or_skip("avx512"); }                   \
  TEST_CASE(name " (avx512_nobf16)", "[engine_cpu]") { body##_or_skip("avx512_nobf16"); }     \
  static void body(const std::string& isa)
