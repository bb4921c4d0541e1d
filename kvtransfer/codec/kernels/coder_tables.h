#pragma once
// Who has which table; for coder.cpp and the files that define them.
#include "kvtransfer/codec/kernels/coder.h"
#include "kvtransfer/codec/kernels/exponents.h"

namespace sluice::kv {

extern const CoderKernels kCoderScalar, kCoderAvx2, kCoderAvx512;
extern const ExponentKernels kExponentsScalar, kExponentsAvx2, kExponentsAvx512;

}  // namespace sluice::kv
