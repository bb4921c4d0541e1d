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

}  // namespace

/// Without the book quantizers, which have a file of their own.
const Kernels kKernelsAvx2 = {.isa = Isa::avx2,
                              .absmax8_page_encode = absmax8_page_encode,
                              .absmax8_page_decode = absmax8_page_decode,
                              .absmax8_encode = absmax8_encode,
                              .absmax8_decode = absmax8_decode,
                              .absmax4_encode = absmax4_encode,
                              .absmax4_decode = absmax4_decode,
                              .fp8_encode = fp8_encode,
                              .fp8_decode = fp8_decode,
                              .minmax_page_encode = minmax_page_encode,
                              .minmax_page_decode = minmax_page_decode,
                              .minmax_encode = minmax_encode,
                              .minmax_decode = minmax_decode,
                              .pack = pack_generic,
                              .unpack = unpack_generic};

}  // namespace sluice::kv
