// The kernels for AVX-512 (F, BW, VL, DQ).
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
#include "kvtransfer/codec/kernels/vector_avx512.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels/generic.inl"
using namespace avx512;
#include "kvtransfer/codec/kernels/vector.inl"
#include "kvtransfer/codec/kernels/vector_absmax.inl"
#include "kvtransfer/codec/kernels/vector_minmax.inl"
#include "kvtransfer/codec/kernels/vector_table.inl"
}  // namespace

constinit const Kernels kKernelsAvx512 = vector_kernels(Isa::avx512);

}  // namespace sluice::kv
