#include <algorithm>
#include <cstring>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/coder_tables.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels/exponents_generic.inl"
}  // namespace

const ExponentKernels kExponentsScalar = {.exponent_largest = exponent_largest_generic,
                                          .split_encode = split_encode_generic,
                                          .split_decode = split_decode_generic,
                                          .exponent_split = exponent_split_generic,
                                          .exponent_join = exponent_join_generic,
                                          .stream_lines = stream_lines_generic,
                                          .settle = settle_generic};

}  // namespace sluice::kv
