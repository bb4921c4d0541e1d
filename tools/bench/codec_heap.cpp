#include "tools/bench/codec_heap.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {
thread_local std::ptrdiff_t live = 0, peak = 0;
}  // namespace

void* operator new(std::size_t n) {
  void* p = std::malloc(n);
  if (p == nullptr) throw std::bad_alloc();
  live += static_cast<std::ptrdiff_t>(malloc_usable_size(p));
  peak = std::max(peak, live);
  return p;
}
void operator delete(void* p) noexcept {
  live -= static_cast<std::ptrdiff_t>(malloc_usable_size(p));
  std::free(p);
}
void operator delete(void* p, std::size_t) noexcept { operator delete(p); }

namespace sluice::bench {

HeapPeak::HeapPeak() : before_(live) { peak = live; }

std::size_t HeapPeak::bytes() const { return static_cast<std::size_t>(peak - before_); }

}  // namespace sluice::bench
