// The kernels for AVX2.
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/bf16.h"
#include "kvtransfer/codec/kernels/prefetch.h"
#include "kvtransfer/codec/kernels/tables.h"
#include "kvtransfer/codec/kernels/vector_avx2.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels/generic.inl"
using namespace avx2;
#include "kvtransfer/codec/kernels/vector.inl"
#include "kvtransfer/codec/kernels/vector_absmax.inl"
#include "kvtransfer/codec/kernels/vector_minmax.inl"
#include "kvtransfer/codec/kernels/vector_table.inl"
}  // namespace

constinit const Kernels kKernelsAvx2 = vector_kernels(Isa::avx2);

}  // namespace sluice::kv
