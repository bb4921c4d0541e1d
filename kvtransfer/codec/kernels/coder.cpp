// Which coder and exponent kernels this processor runs.
#include "kvtransfer/codec/kernels/coder.h"

#include "kvtransfer/codec/kernels/coder_tables.h"

namespace sluice::kv {
namespace {

/// Those for AVX-512 want more of it than the other kernels do.
bool has_vbmi() noexcept {
  static const bool has = __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
  return has;
}

}  // namespace

const CoderKernels& coder_kernels(Isa isa) noexcept {
  if (isa == Isa::scalar) return kCoderScalar;
  return isa == Isa::avx512 && has_vbmi() ? kCoderAvx512 : kCoderAvx2;
}

const ExponentKernels& exponent_kernels(Isa isa) noexcept {
  if (isa == Isa::scalar) return kExponentsScalar;
  return isa == Isa::avx512 && has_vbmi() ? kExponentsAvx512 : kExponentsAvx2;
}

}  // namespace sluice::kv
