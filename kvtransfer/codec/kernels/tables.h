#pragma once
// Who has which table; for kernels.cpp and the files that define them.
#include "kvtransfer/codec/kernels/kernels.h"

namespace sluice::kv {

extern const Kernels kKernelsScalar, kKernelsAvx2, kKernelsAvx512;

/// The part of a table that has a file of its own.
struct BookKernels {
  decltype(Kernels::book_encode) encode;
  decltype(Kernels::book_decode) decode;
  decltype(Kernels::book_encode_packed) encode_packed;
  decltype(Kernels::book_decode_packed) decode_packed;
  decltype(Kernels::row_forward) row_forward;
  decltype(Kernels::row_backward) row_backward;
};
extern const BookKernels kBookAvx2, kBookAvx512;

}  // namespace sluice::kv
