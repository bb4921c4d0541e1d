// The book quantizers for AVX2.
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/bf16.h"
#include "kvtransfer/codec/kernels/prefetch.h"
#include "kvtransfer/codec/kernels/tables.h"
#include "kvtransfer/codec/kernels/vector_avx2.h"

namespace sluice::kv {
namespace {
#include "kvtransfer/codec/kernels/generic_book.inl"
using namespace avx2;
#include "kvtransfer/codec/kernels/vector.inl"
#include "kvtransfer/codec/kernels/vector_book.inl"
}  // namespace

constinit const BookKernels kBookAvx2 = kVectorBook;

}  // namespace sluice::kv
