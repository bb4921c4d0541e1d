// All vector kernels but the book quantizers, which have a file of their own, and their table.
#include "kvtransfer/codec/kernels/generic.inl"
#include "kvtransfer/codec/kernels/generic_absmax.inl"
#include "kvtransfer/codec/kernels/generic_fp8.inl"
#include "kvtransfer/codec/kernels/generic_minmax.inl"
#include "kvtransfer/codec/kernels/vector.inl"
#include "kvtransfer/codec/kernels/vector_absmax.inl"
#include "kvtransfer/codec/kernels/vector_fp8.inl"
#include "kvtransfer/codec/kernels/vector_minmax.inl"

constexpr Kernels vector_kernels(Isa isa) noexcept {
  return {.isa = isa,
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
}
