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

constinit const BookKernels kBookAvx2 = kVectorBook;

}  // namespace sluice::kv
