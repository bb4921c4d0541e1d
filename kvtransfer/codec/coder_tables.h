#pragma once
// Who has which table; for coder_kernels.cpp and the files that define them.
#include "kvtransfer/codec/coder_kernels.h"

namespace sluice::kv {

extern const CoderKernels kCoderScalar, kCoderAvx2, kCoderAvx512;

}  // namespace sluice::kv
