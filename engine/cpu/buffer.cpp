#include "engine/cpu/buffer.h"

#include <sys/mman.h>

#include <new>

namespace sluice::engine::cpu {
namespace {
constexpr std::size_t kHuge = std::size_t{2} << 20;
}

void* map_pages(std::size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  if (bytes >= 2 * kHuge) madvise(p, bytes, MADV_HUGEPAGE);
  return p;
}

void unmap_pages(void* p, std::size_t bytes) noexcept { munmap(p, bytes); }

}  // namespace sluice::engine::cpu
