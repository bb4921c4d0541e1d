#include "kvtransfer/flow/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace sluice::kv {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

struct Mapping {
  std::byte* memory = nullptr;
  std::size_t bytes = 0;
};

std::byte* map(std::size_t bytes) noexcept {
  void* const p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  // Only a hint: fewer faults on first use where the system has huge pages.
  if (bytes >= kHugePage) (void)madvise(p, bytes, MADV_HUGEPAGE);
  return static_cast<std::byte*>(p);
}

void unmap(const std::vector<Mapping>& gone) noexcept {
  for (const Mapping& m : gone) (void)munmap(m.memory, m.bytes);
}

}  // namespace

/// Shared by the pool and its buffers, whichever lives longer.
struct Buffer::Home {
  struct Class {
    std::vector<std::byte*> idle;  // the last one is the warmest
    std::size_t unused = 0;        // fewest that were idle at once since release_unused(): nobody needed these
  };
  std::mutex mutex;
  std::map<std::size_t, Class> classes;  // by bytes
  std::size_t limit = 0, mapped = 0, idle = 0;
  std::uint64_t mappings = 0;

  /// Takes the n coldest out of a class. Under the mutex; the caller unmaps them without it.
  void evict(std::size_t bytes, Class& c, std::size_t n, std::vector<Mapping>& gone) {
    for (std::size_t i = 0; i < n; ++i) gone.push_back({c.idle[i], bytes});
    c.idle.erase(c.idle.begin(), c.idle.begin() + static_cast<std::ptrdiff_t>(n));
    c.unused = std::min(c.unused, c.idle.size());
    idle -= n * bytes;
    mapped -= n * bytes;
  }

  /// Under the mutex: makes room for `more` bytes below the limit, as far as idle buffers can.
  void make_room(std::size_t more, std::vector<Mapping>& gone) {
    for (auto c = classes.rbegin(); c != classes.rend(); ++c) {
      if (mapped + more <= limit) return;
      const std::size_t over = mapped + more - limit;
      evict(c->first, c->second, std::min(c->second.idle.size(), (over + c->first - 1) / c->first), gone);
    }
  }

  std::byte* take(std::size_t bytes) {
    std::vector<Mapping> gone;
    {
      const std::lock_guard lock(mutex);
      if (Class& c = classes[bytes]; !c.idle.empty()) {
        std::byte* const warmest = c.idle.back();
        c.idle.pop_back();
        c.unused = std::min(c.unused, c.idle.size());
        idle -= bytes;
        return warmest;
      }
      make_room(bytes, gone);
      mapped += bytes;
      ++mappings;
    }
    unmap(gone);
    std::byte* const fresh = map(bytes);
    if (fresh == nullptr) {
      const std::lock_guard lock(mutex);
      mapped -= bytes;
    }
    return fresh;
  }

  void give_back(std::byte* memory, std::size_t bytes) {
    {
      const std::lock_guard lock(mutex);
      if (mapped <= limit) {
        classes[bytes].idle.push_back(memory);
        idle += bytes;
        return;
      }
      mapped -= bytes;
    }
    unmap({{memory, bytes}});
  }
};

Buffer::~Buffer() {
  if (home_)
    home_->give_back(memory_, capacity_);
  else
    delete[] memory_;
}

std::size_t BufferPool::class_bytes(std::size_t bytes) noexcept {
  if (bytes < kSmallest) return bytes;
  const std::size_t step = std::bit_floor(bytes - 1) / 4;
  return (bytes + step - 1) / step * step;
}

BufferPool::BufferPool(std::size_t limit_bytes) : home_(std::make_shared<Buffer::Home>()) {
  home_->limit = limit_bytes;
}

BufferPool::~BufferPool() { set_limit(0); }

Buffer BufferPool::take(std::size_t bytes) {
  Buffer b;
  if (bytes == 0) return b;
  b.capacity_ = class_bytes(bytes);
  if (bytes < kSmallest) {
    b.memory_ = new (std::nothrow) std::byte[bytes];
  } else {
    b.memory_ = home_->take(b.capacity_);
    if (b.memory_ != nullptr) b.home_ = home_;
  }
  if (b.memory_ != nullptr) b.size_ = bytes;
  return b;
}

void BufferPool::set_limit(std::size_t bytes) {
  std::vector<Mapping> gone;
  {
    const std::lock_guard lock(home_->mutex);
    home_->limit = bytes;
    home_->make_room(0, gone);
  }
  unmap(gone);
}

void BufferPool::release_unused() {
  std::vector<Mapping> gone;
  {
    const std::lock_guard lock(home_->mutex);
    for (auto& [bytes, c] : home_->classes) {
      home_->evict(bytes, c, c.unused, gone);
      c.unused = c.idle.size();
    }
    std::erase_if(home_->classes, [](const auto& c) { return c.second.idle.empty(); });
  }
  unmap(gone);
}

BufferPool::Figures BufferPool::figures() const {
  const std::lock_guard lock(home_->mutex);
  return {home_->mapped, home_->idle, home_->mappings};
}

}  // namespace sluice::kv
