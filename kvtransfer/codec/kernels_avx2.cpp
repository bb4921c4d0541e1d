// The kernels for AVX2.
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kvtransfer/codec/bf16.h"
#include "kvtransfer/codec/bytes.h"
#include "kvtransfer/codec/kernel_tables.h"
#include "kvtransfer/codec/prefetch.h"
#include "kvtransfer/codec/vector_avx2.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels_generic.inl"
using namespace avx2;
#include "kvtransfer/codec/kernels_vector.inl"
#include "kvtransfer/codec/kernels_vector_absmax.inl"
#include "kvtransfer/codec/kernels_vector_minmax.inl"
#include "kvtransfer/codec/kernels_vector_table.inl"
}  // namespace

constinit const Kernels kKernelsAvx2 = vector_kernels(Isa::avx2);

}  // namespace sluice::kv
