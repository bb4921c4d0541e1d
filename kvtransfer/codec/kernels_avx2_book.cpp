// The book quantizers for AVX2.
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kvtransfer/codec/bf16.h"
#include "kvtransfer/codec/bytes.h"
#include "kvtransfer/codec/kernel_tables.h"
#include "kvtransfer/codec/prefetch.h"
#include "kvtransfer/codec/vector_avx2.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels_book.inl"
using namespace avx2;
#include "kvtransfer/codec/kernels_vector.inl"
#include "kvtransfer/codec/kernels_vector_book.inl"
}  // namespace

const BookKernels kBookAvx2 = {.encode = book_encode,
                               .decode = book_decode,
                               .encode_packed = book_encode_packed,
                               .decode_packed = book_decode_packed,
                               .row_forward = row_forward_with<fwht_vectors>,
                               .row_backward = row_backward_with<fwht_vectors>};

}  // namespace sluice::kv
