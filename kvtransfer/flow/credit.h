#pragma once
// How much a sender may have outstanding at one receiver. Pure logic; the owner serialises calls.
//
// The receiver grants a window once and gives bytes back as it frees its buffers. Invariant: available + outstanding ==
// window, at both ends, so neither can lose or invent memory.
#include <cstdint>

namespace sluice::kv {

class CreditWindow {
 public:
  CreditWindow() = default;
  explicit CreditWindow(std::uint64_t window) : window_(window), available_(window) {}

  [[nodiscard]] std::uint64_t window() const noexcept { return window_; }
  [[nodiscard]] std::uint64_t available() const noexcept { return available_; }
  [[nodiscard]] std::uint64_t outstanding() const noexcept { return window_ - available_; }

  /// Takes bytes; false (and nothing taken) when more than what is available.
  [[nodiscard]] bool take(std::uint64_t bytes) noexcept {
    if (bytes > available_) return false;
    available_ -= bytes;
    return true;
  }
  /// Gives bytes back; false when more than what is outstanding: the peer counts wrongly.
  [[nodiscard]] bool give(std::uint64_t bytes) noexcept {
    if (bytes > outstanding()) return false;
    available_ += bytes;
    return true;
  }

 private:
  std::uint64_t window_ = 0, available_ = 0;
};

}  // namespace sluice::kv
