#pragma once
// Memory for frame payloads that is used again: a fresh mapping costs a page fault per page (more than the copy into
// it), a recycled one nothing.
//
// Sizes are rounded up to classes, four per power of two; the last buffer given back is the first to be used again, so
// it is often still in the cache. Payloads below kSmallest are plain allocations.
// Bound: buffers in use and idle together take at most limit() bytes of address space as long as the users keep their
// own bound; beyond that, idle ones are unmapped first and a returning one is not kept.
// Threading: every method of BufferPool and the destruction of a Buffer, on any thread. A Buffer itself belongs to one
// thread at a time and may outlive its pool. Failure: no memory gives an empty buffer.
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace sluice::kv {

class BufferPool;

/// A payload's memory: uninitialised until written, given back when destroyed.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& o) noexcept
      : home_(std::move(o.home_)),
        memory_(std::exchange(o.memory_, nullptr)),
        capacity_(std::exchange(o.capacity_, 0)),
        size_(std::exchange(o.size_, 0)) {}
  Buffer& operator=(Buffer&& o) noexcept {
    Buffer old(std::move(o));
    swap(old);
    return *this;
  }
  ~Buffer();

  [[nodiscard]] std::byte* data() const noexcept { return memory_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {memory_, size_}; }
  /// Keeps the first `bytes` bytes, at most size().
  void shrink(std::size_t bytes) noexcept { size_ = bytes < size_ ? bytes : size_; }

 private:
  friend class BufferPool;
  struct Home;
  void swap(Buffer& o) noexcept {
    home_.swap(o.home_);
    std::swap(memory_, o.memory_);
    std::swap(capacity_, o.capacity_);
    std::swap(size_, o.size_);
  }

  std::shared_ptr<Home> home_;
  std::byte* memory_ = nullptr;
  std::size_t capacity_ = 0, size_ = 0;
};

class BufferPool {
 public:
  static constexpr std::size_t kSmallest = 64U << 10;
  explicit BufferPool(std::size_t limit_bytes);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  /// Idle memory is freed now, what is in use when it comes back.
  ~BufferPool();

  [[nodiscard]] Buffer take(std::size_t bytes);
  /// A smaller limit frees idle buffers at once.
  void set_limit(std::size_t bytes);
  /// Frees the buffers that were not needed since the last call. Called every few seconds, it gives a burst's memory
  /// back to the system.
  void release_unused();

  struct Figures {
    std::size_t mapped_bytes = 0;  // in use and idle
    std::size_t idle_bytes = 0;
    std::uint64_t mappings = 0;  // ever made
  };
  [[nodiscard]] Figures figures() const;
  /// What take(bytes) maps for it.
  [[nodiscard]] static std::size_t class_bytes(std::size_t bytes) noexcept;

 private:
  std::shared_ptr<Buffer::Home> home_;
};

}  // namespace sluice::kv
