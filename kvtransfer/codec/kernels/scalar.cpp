// The kernels for any processor.
#include "kvtransfer/codec/kernels/includes.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels/generic.inl"
#include "kvtransfer/codec/kernels/generic_absmax.inl"
#include "kvtransfer/codec/kernels/generic_book.inl"
#include "kvtransfer/codec/kernels/generic_fp8.inl"
#include "kvtransfer/codec/kernels/generic_minmax.inl"
}  // namespace

const Kernels kKernelsScalar = {.isa = Isa::scalar,
                                .absmax8_page_encode = absmax8_page_encode_generic,
                                .absmax8_page_decode = absmax8_page_decode_generic,
                                .absmax8_encode = encode_rows<absmax8_row_encode, 8>,
                                .absmax8_decode = decode_rows<absmax8_row_decode, 8>,
                                .absmax4_encode = encode_rows<absmax4_row_encode, 4>,
                                .absmax4_decode = decode_rows<absmax4_row_decode, 4>,
                                .fp8_encode = encode_rows<fp8_row_encode, 8>,
                                .fp8_decode = decode_rows<fp8_row_decode, 8>,
                                .minmax_page_encode = minmax_page_encode_generic,
                                .minmax_page_decode = minmax_page_decode_generic,
                                .minmax_encode = minmax_encode_generic,
                                .minmax_decode = minmax_decode_generic,
                                .book_encode = book_encode_generic,
                                .book_decode = book_decode_generic,
                                .book_encode_packed = book_encode_packed_generic,
                                .book_decode_packed = book_decode_packed_generic,
                                .pack = pack_generic,
                                .unpack = unpack_generic,
                                .row_forward = row_forward_with<fwht>,
                                .row_backward = row_backward_with<fwht>};

}  // namespace sluice::kv
