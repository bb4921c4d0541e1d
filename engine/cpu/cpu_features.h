#pragma once
// What this machine's CPU and operating system let a kernel use.
namespace sluice::engine::cpu {

struct CpuFeatures {
  bool avx2 = false;         // AVX2 and FMA
  bool avx512 = false;       // F, BW, DQ, VL
  bool avx512_bf16 = false;  // the above and BF16 dot products
};

[[nodiscard]] CpuFeatures cpu_features() noexcept;

}  // namespace sluice::engine::cpu
