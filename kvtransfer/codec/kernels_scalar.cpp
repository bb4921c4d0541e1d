// The kernels for any processor.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kvtransfer/codec/bf16.h"
#include "kvtransfer/codec/bytes.h"
#include "kvtransfer/codec/kernel_tables.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels_book.inl"
}  // namespace

const Kernels kKernelsScalar = {.isa = Isa::scalar,
                                .absmax8_page_encode = absmax8_page_encode_generic,
                                .absmax8_page_decode = absmax8_page_decode_generic,
                                .absmax8_row_encode = absmax8_row_encode_generic,
                                .absmax8_row_decode = absmax8_row_decode_generic,
                                .absmax4_row_encode = absmax4_row_encode_generic,
                                .absmax4_row_decode = absmax4_row_decode_generic,
                                .fp8_row_encode = fp8_row_encode_generic,
                                .fp8_row_decode = fp8_row_decode_generic,
                                .minmax_page_encode = minmax_page_encode_generic,
                                .minmax_page_decode = minmax_page_decode_generic,
                                .minmax_row_encode = minmax_row_encode_generic,
                                .minmax_row_decode = minmax_row_decode_generic,
                                .book_encode = book_encode_with<fwht>,
                                .book_decode = book_decode_with<fwht>,
                                .book_encode_packed = book_encode_packed_with<fwht>,
                                .book_decode_packed = book_decode_packed_with<fwht>,
                                .pack = pack_generic,
                                .unpack = unpack_generic,
                                .row_forward = row_forward_with<fwht>,
                                .row_backward = row_backward_with<fwht>,
                                .ll_split = ll_split_generic,
                                .ll_join = ll_join_generic};

}  // namespace sluice::kv
