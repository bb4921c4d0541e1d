// The generic kernels, vectorised by the compiler for AVX2.
#include <algorithm>

#include "kvtransfer/codec/bytes.h"
#include "kvtransfer/codec/coder_tables.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/coder_generic.inl"
}  // namespace

const CoderKernels kCoderAvx2 = {.isa = Isa::avx2,
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
                                 .exponent_join = exponent_join_generic};

}  // namespace sluice::kv
