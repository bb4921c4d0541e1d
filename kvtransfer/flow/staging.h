#pragma once
// Memory a receiver owns for payloads on their way in. A StagingBuffer gives its bytes back when it is destroyed, on
// any thread; what "back" means (credit to the sender) is the pool owner's.
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>

namespace sluice::kv {

class StagingBuffer {
 public:
  /// Called once with the buffer's size when it is destroyed.
  using Release = std::function<void(std::size_t)>;
  StagingBuffer() = default;
  StagingBuffer(std::size_t bytes, Release release)
      : memory_(std::make_unique_for_overwrite<std::byte[]>(bytes)), size_(bytes), release_(std::move(release)) {}
  StagingBuffer(StagingBuffer&& o) noexcept
      : memory_(std::move(o.memory_)), size_(std::exchange(o.size_, 0)), release_(std::exchange(o.release_, {})) {}
  StagingBuffer& operator=(StagingBuffer&& o) noexcept {
    if (this != &o) {
      reset();
      memory_ = std::move(o.memory_);
      size_ = std::exchange(o.size_, 0);
      release_ = std::exchange(o.release_, {});
    }
    return *this;
  }
  ~StagingBuffer() { reset(); }

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {memory_.get(), size_}; }

 private:
  void reset() {
    memory_.reset();
    if (const Release r = std::exchange(release_, {})) r(std::exchange(size_, 0));
  }
  std::unique_ptr<std::byte[]> memory_;
  std::size_t size_ = 0;
  Release release_;
};

}  // namespace sluice::kv
