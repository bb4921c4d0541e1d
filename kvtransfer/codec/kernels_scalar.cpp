// The kernels for any processor.
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

const Kernels kKernelsScalar = {.isa = Isa::scalar,
                                .q8_key_encode = q8_key_encode_generic,
                                .q8_key_decode = q8_key_decode_generic,
                                .q8_value_encode = q8_value_encode_generic,
                                .q8_value_decode = q8_value_decode_generic,
                                .h4_encode = h4_encode_with<fwht>,
                                .h4_decode = h4_decode_with<fwht>,
                                .ll_split = ll_split_generic,
                                .ll_join = ll_join_generic};

}  // namespace sluice::kv
