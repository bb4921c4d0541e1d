// The kernels for AVX-512 (F, BW, VL, DQ).
#include "kvtransfer/codec/kernels/includes.h"
#include "kvtransfer/codec/kernels/vector_avx512.h"

namespace sluice::kv {
namespace {
using namespace avx512;
#include "kvtransfer/codec/kernels/vector_table.inl"
}  // namespace

constinit const Kernels kKernelsAvx512 = vector_kernels(Isa::avx512);

}  // namespace sluice::kv
