// The generic kernels, vectorised by the compiler for AVX2 (this file's flags are in CMakeLists.txt).
#include <algorithm>
#include <cmath>
#include <limits>

#include "kvtransfer/codec/bf16.h"
#include "kvtransfer/codec/bytes.h"
#include "kvtransfer/codec/kernel_tables.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels_generic.inl"
}  // namespace

const Kernels kKernelsAvx2 = {.isa = Isa::avx2,
                              .q8_key_encode = q8_key_encode_generic,
                              .q8_key_decode = q8_key_decode_generic,
                              .q8_value_encode = q8_value_encode_generic,
                              .q8_value_decode = q8_value_decode_generic,
                              .h4_encode = h4_encode_generic,
                              .h4_decode = h4_decode_generic,
                              .ll_split = ll_split_generic,
                              .ll_join = ll_join_generic};

}  // namespace sluice::kv
