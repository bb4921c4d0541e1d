#pragma once
// A queue of values from one thread to another. What a handler of the sender puts in goes over when that handler is
// done: one lock and at most one wake for all of it.
//
// Threading: put() on the sending io_context's thread, the values are taken on the receiving one's, in their order;
// waiting() on any. Bounds: whoever puts asks waiting() first. Lifetime: what is posted holds the crossing, so both
// io_contexts outlive it; `take` is not called once the receiving one no longer runs.
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace sluice::coordinator {

template <class T>
class Crossing : public std::enable_shared_from_this<Crossing<T>> {
 public:
  using Take = std::function<void(T&&)>;

  Crossing(boost::asio::io_context& from, boost::asio::io_context& to, Take take)
      : from_(from), to_(to), take_(std::move(take)) {}

  /// weight: what it counts in waiting(), until it is taken.
  void put(T value, std::size_t weight) {
    waiting_.fetch_add(weight, std::memory_order_relaxed);
    going_.weight += weight;
    going_.values.push_back(std::move(value));
    if (going_.values.size() == 1) boost::asio::post(from_, [self = this->shared_from_this()] { self->go(); });
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }

 private:
  struct Batch {
    std::vector<T> values;
    std::size_t weight = 0;

    void add(Batch& more) {
      weight += std::exchange(more.weight, 0);
      if (values.empty()) return values.swap(more.values);
      values.insert(values.end(), std::make_move_iterator(more.values.begin()),
                    std::make_move_iterator(more.values.end()));
      more.values.clear();
    }
  };

  void go() {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      wake = between_.values.empty();
      between_.add(going_);
    }
    if (wake) boost::asio::post(to_, [self = this->shared_from_this()] { self->arrive(); });
  }
  void arrive() {
    {
      const std::lock_guard lock(mutex_);
      come_.add(between_);
    }
    for (T& value : come_.values) take_(std::move(value));
    come_.values.clear();
    waiting_.fetch_sub(std::exchange(come_.weight, 0), std::memory_order_relaxed);
  }

  boost::asio::io_context& from_;
  boost::asio::io_context& to_;
  const Take take_;
  std::atomic<std::size_t> waiting_{0};
  Batch going_;  // the sender's
  Batch come_;   // the receiver's
  std::mutex mutex_;
  Batch between_;  // the mutex'
};

}  // namespace sluice::coordinator
