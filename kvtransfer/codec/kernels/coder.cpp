#include "kvtransfer/codec/kernels/coder.h"

#include "kvtransfer/codec/kernels/coder_tables.h"

namespace sluice::kv {

const CoderKernels& coder_kernels(Isa isa) noexcept {
  static const bool vbmi = __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
  switch (isa) {
    case Isa::avx512:
      return vbmi ? kCoderAvx512 : kCoderAvx2;
    case Isa::avx2:
      return kCoderAvx2;
    case Isa::scalar:
      break;
  }
  return kCoderScalar;
}

}  // namespace sluice::kv
