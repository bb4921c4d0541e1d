#pragma once
// Memory a receiver owns for payloads on their way in. A StagingBuffer gives its bytes back when it is destroyed, on
// any thread; what "back" means (credit to the sender) is the owner's.
#include <functional>
#include <utility>

#include "kvtransfer/flow/buffer_pool.h"

namespace sluice::kv {

class StagingBuffer {
 public:
  /// Called once with the buffer's size when it is destroyed, after its memory went back to the pool.
  using Release = std::function<void(std::size_t)>;
  StagingBuffer() = default;
  StagingBuffer(Buffer memory, Release release) : memory_(std::move(memory)), release_(std::move(release)) {}
  StagingBuffer(StagingBuffer&& o) noexcept : memory_(std::move(o.memory_)), release_(std::exchange(o.release_, {})) {}
  StagingBuffer& operator=(StagingBuffer&& o) noexcept {
    if (this != &o) {
      reset();
      memory_ = std::move(o.memory_);
      release_ = std::exchange(o.release_, {});
    }
    return *this;
  }
  ~StagingBuffer() { reset(); }

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return memory_.bytes(); }

 private:
  void reset() {
    const std::size_t bytes = memory_.size();
    memory_ = {};
    if (const Release r = std::exchange(release_, {})) r(bytes);
  }
  Buffer memory_;
  Release release_;
};

}  // namespace sluice::kv
