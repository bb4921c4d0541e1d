#pragma once
// Who has which table; for kernels.cpp and the files that define them.
#include "kvtransfer/codec/kernels.h"

namespace sluice::kv {

extern const Kernels kKernelsScalar, kKernelsAvx2, kKernelsAvx512;

}  // namespace sluice::kv
