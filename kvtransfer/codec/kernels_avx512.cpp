// The kernels for AVX-512 (F, BW, VL, DQ).
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
#include "kvtransfer/codec/vector_avx512.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels_generic.inl"
using namespace avx512;
#include "kvtransfer/codec/kernels_vector.inl"
#include "kvtransfer/codec/kernels_vector_absmax.inl"
#include "kvtransfer/codec/kernels_vector_minmax.inl"

}  // namespace

/// Without the book quantizers, which have a file of their own.
const Kernels kKernelsAvx512 = {.isa = Isa::avx512,
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
