// The book quantizers for AVX2.
#include "kvtransfer/codec/kernels/includes.h"
#include "kvtransfer/codec/kernels/vector_avx2.h"

namespace sluice::kv {
namespace {
using namespace avx2;
#include "kvtransfer/codec/kernels/vector_book.inl"
}  // namespace

constinit const BookKernels kBookAvx2 = kVectorBook;

}  // namespace sluice::kv
