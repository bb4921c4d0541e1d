#pragma once
// A count that one thread keeps and any thread may read. Costs what a plain number does. Failure: none.
#include <atomic>
#include <cstdint>

namespace sluice::coordinator {

class HttpCount {
 public:
  HttpCount() = default;
  HttpCount(const HttpCount& other) : count_(other) {}
  HttpCount& operator=(const HttpCount& other) { return *this = static_cast<std::uint64_t>(other); }
  HttpCount& operator=(std::uint64_t count) {
    count_.store(count, std::memory_order_relaxed);
    return *this;
  }
  HttpCount& operator+=(std::uint64_t by) { return *this = *this + by; }
  HttpCount& operator++() { return *this += 1; }
  HttpCount& operator--() { return *this = *this - 1; }
  operator std::uint64_t() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace sluice::coordinator
