#pragma once
// A count that one thread keeps and any thread may read. Costs what a plain number does. Failure: none.
#include <atomic>
#include <cstdint>

namespace sluice::coordinator {

class Tally {
 public:
  Tally() = default;
  Tally(const Tally& other) : count_(other) {}
  Tally& operator=(const Tally& other) { return *this = static_cast<std::uint64_t>(other); }
  Tally& operator=(std::uint64_t count) {
    count_.store(count, std::memory_order_relaxed);
    return *this;
  }
  Tally& operator+=(std::uint64_t by) { return *this = *this + by; }
  Tally& operator++() { return *this += 1; }
  Tally& operator--() { return *this = *this - 1; }
  operator std::uint64_t() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace sluice::coordinator
