#pragma once
// A FIFO between threads, bounded in bytes. close() wakes everyone; what was queued can still be popped.
// Threading: any number of producers and consumers.
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace sluice::node {

template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  /// Waits for room. An item larger than the bound passes when the queue is empty. False once closed.
  bool push(T item, std::size_t bytes) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return closed_ || items_.empty() || bytes_ + bytes <= max_bytes_; });
    if (closed_) return false;
    items_.emplace_back(std::move(item), bytes);
    bytes_ += bytes;
    ready_.notify_one();
    return true;
  }

  /// Waits for an item; empty once closed and drained.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    auto [item, bytes] = std::move(items_.front());
    items_.pop_front();
    bytes_ -= bytes;
    room_.notify_all();
    return std::move(item);
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    room_.notify_all();
    ready_.notify_all();
  }

  [[nodiscard]] std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable room_, ready_;
  std::deque<std::pair<T, std::size_t>> items_;
  std::size_t bytes_ = 0;
  const std::size_t max_bytes_;
  bool closed_ = false;
};

}  // namespace sluice::node
