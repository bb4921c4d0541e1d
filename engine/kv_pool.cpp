#include "engine/kv_pool.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace sluice::engine {
namespace {

// Bytes of all layers' K and V, or 0 if the product does not fit.
std::size_t pool_bytes(const KvPoolShape& s) noexcept {
  std::size_t bytes = 2 * size_of(s.dtype);
  for (const std::uint32_t factor : {s.layers, s.kv_heads, s.head_dim, s.block_size, s.num_blocks})
    if (__builtin_mul_overflow(bytes, factor, &bytes)) return 0;
  return bytes;
}

}  // namespace

KvPool::KvPool(const KvPoolShape& s, std::byte* base, std::size_t bytes)
    : shape_(s), base_(base), bytes_(bytes), plane_(s.num_blocks * s.block_bytes()) {}

KvPool::~KvPool() { ::munmap(base_, bytes_); }

Result<std::unique_ptr<KvPool>> KvPool::create(const KvPoolShape& shape) {
  if (shape.dtype == DType::f16) return fail(Errc::unsupported, "a KV pool holds bf16 or f32, not f16");
  const std::size_t bytes = pool_bytes(shape);
  if (bytes == 0)
    return fail(Errc::invalid_argument, "a KV pool of {} layers, {} heads of {}, {} blocks of {} tokens is impossible",
                shape.layers, shape.kv_heads, shape.head_dim, shape.num_blocks, shape.block_size);
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED)
    return fail(Errc::resource_exhausted, "cannot map {} bytes of KV memory: {}; lower the number of blocks", bytes,
                std::strerror(errno));
  ::madvise(base, bytes, MADV_HUGEPAGE);  // advice only: without huge pages the pool works, with more TLB misses
  return std::unique_ptr<KvPool>(new KvPool(shape, static_cast<std::byte*>(base), bytes));
}

}  // namespace sluice::engine
