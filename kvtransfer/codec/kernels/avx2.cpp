// The kernels for AVX2.
#include "kvtransfer/codec/kernels/includes.h"
#include "kvtransfer/codec/kernels/vector_avx2.h"

namespace sluice::kv {
namespace {
using namespace avx2;
#include "kvtransfer/codec/kernels/vector_table.inl"
}  // namespace

constinit const Kernels kKernelsAvx2 = vector_kernels(Isa::avx2);

}  // namespace sluice::kv
