#pragma once
// Page-aligned memory of one element type for weights and scratch; large ones ask for huge pages, because a decode
// step walks all weights once and would otherwise spend its time in TLB misses.
#include <cstddef>
#include <utility>

namespace sluice::engine::cpu {

/// Allocates zeroed pages; throws std::bad_alloc (start-up only).
[[nodiscard]] void* map_pages(std::size_t bytes);
void unmap_pages(void* p, std::size_t bytes) noexcept;

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count)
      : data_(count == 0 ? nullptr : static_cast<T*>(map_pages(count * sizeof(T)))), size_(count) {}
  Buffer(Buffer&& o) noexcept : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
  Buffer& operator=(Buffer&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) unmap_pages(data_, size_ * sizeof(T));
  }

  /// Makes room for count elements; contents are lost when it grows.
  T* reserve(std::size_t count) {
    if (count > size_) *this = Buffer(count + count / 4);
    return data_;
  }
  [[nodiscard]] T* data() noexcept { return data_; }
  [[nodiscard]] const T* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sluice::engine::cpu
