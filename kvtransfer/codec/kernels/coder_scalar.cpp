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
                                   .largest = largest_generic};

}  // namespace sluice::kv
