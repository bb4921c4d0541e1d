#pragma once
// Memory of the host for the KV of parked sequences: so many bytes, and who holds how much of them.
//
// Threading: any thread. Failure: take() says no at the bound.
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace sluice::decode {

class SwapMemory {
 public:
  explicit SwapMemory(std::uint64_t limit) : limit_(limit) {}

  [[nodiscard]] bool take(std::uint64_t bytes) noexcept {
    std::uint64_t used = used_.load();
    do {
      if (bytes > limit_ - used) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes));
    return true;
  }
  void give(std::uint64_t bytes) noexcept { used_ -= bytes; }
  [[nodiscard]] std::uint64_t used() const noexcept { return used_; }
  [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_ = 0;  // never above limit_
};

/// Bytes of it, given back when this goes.
class SwapClaim {
 public:
  explicit SwapClaim(std::shared_ptr<SwapMemory> memory) : memory_(std::move(memory)) {}
  SwapClaim(SwapClaim&& o) noexcept : memory_(std::move(o.memory_)), bytes_(std::exchange(o.bytes_, 0)) {}
  SwapClaim& operator=(SwapClaim&&) = delete;
  ~SwapClaim() {
    if (memory_) memory_->give(bytes_);
  }
  [[nodiscard]] bool grow(std::uint64_t bytes) noexcept {
    if (!memory_->take(bytes)) return false;
    bytes_ += bytes;
    return true;
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  std::shared_ptr<SwapMemory> memory_;
  std::uint64_t bytes_ = 0;
};

}  // namespace sluice::decode
