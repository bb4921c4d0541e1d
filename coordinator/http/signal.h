#pragma once
// Internal to the HTTP server: how one coroutine wakes another.
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/clock.h"

namespace sluice::coordinator {

/// A wake-up flag for one waiting coroutine: notify() before wait() is not lost.
class Signal {
 public:
  explicit Signal(const boost::asio::any_io_executor& ex) : timer_(ex, TimePoint::max()) {}
  void notify() {
    set_ = true;
    timer_.cancel();
  }
  /// True if notified, false at the deadline.
  boost::asio::awaitable<bool> wait(TimePoint deadline = TimePoint::max());

 private:
  bool set_ = false;
  boost::asio::steady_timer timer_;
};

}  // namespace sluice::coordinator
