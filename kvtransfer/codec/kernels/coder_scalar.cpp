#include <algorithm>
#include <cstring>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/coder_tables.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels/coder_generic.inl"
}  // namespace

const CoderKernels kCoderScalar = {.isa = Isa::scalar,
                                   .rans_encode = rans_encode_generic,
                                   .rans_decode = rans_decode_generic,
                                   .count_symbols = count_symbols_generic,
                                   .map_symbols = map_symbols_generic,
                                   .unmap_symbols = unmap_symbols_generic,
                                   .pack4 = pack4_generic,
                                   .unpack4 = unpack4_generic,
                                   .largest = largest_generic,
                                   .exponent_largest = exponent_largest_generic,
                                   .split_encode = split_encode_generic,
                                   .split_decode = split_decode_generic,
                                   .exponent_split = exponent_split_generic,
                                   .exponent_join = exponent_join_generic,
                                   .stream_lines = stream_lines_generic,
                                   .settle = settle_generic};

}  // namespace sluice::kv
