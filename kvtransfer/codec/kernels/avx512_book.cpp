// The book quantizers for AVX-512 (F, BW, VL, DQ).
#include "kvtransfer/codec/kernels/includes.h"
#include "kvtransfer/codec/kernels/vector_avx512.h"

namespace sluice::kv {
namespace {
using namespace avx512;
#include "kvtransfer/codec/kernels/vector_book.inl"
}  // namespace

constinit const BookKernels kBookAvx512 = kVectorBook;

}  // namespace sluice::kv
