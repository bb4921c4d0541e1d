#pragma once
// An io_context on a thread of its own, for tests that play the other side from theirs.
//
// eventually() looks at a condition on that thread after each of its handlers: state that only handlers change is seen
// the moment it changes, without polling and without a race.
// Threading: every method is for the test's thread. Objects that live on the io_context are destroyed by on_io() before
// join(); what handlers refer to must outlive join().
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <thread>

namespace sluice::test {

class IoThread {
 public:
  IoThread() : thread_([this] { loop(); }) {}
  ~IoThread() { join(); }
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }

  /// Runs f on the thread and waits for its result.
  template <class F>
  auto on_io(F f) {
    std::packaged_task<decltype(f())()> task(std::move(f));
    auto result = task.get_future();
    boost::asio::post(io_, [&] { task(); });
    return result.get();
  }

  /// Whether `holds` becomes true within `limit`.
  template <class P>
  [[nodiscard]] bool eventually(P holds, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    auto waiter = std::make_shared<Waiter>(Waiter{holds, {}});
    auto seen = waiter->seen.get_future();
    boost::asio::post(io_, [this, waiter] { waiting_.push_back(waiter); });
    if (seen.wait_for(limit) == std::future_status::ready) return true;
    return on_io([&] {
      waiting_.remove(waiter);
      return holds();
    });
  }

  /// Does not wait for what is left.
  void stop() {
    io_.stop();
    join();
  }
  /// Waits until the io_context has nothing left to do.
  void join() {
    guard_.reset();
    if (thread_.joinable()) thread_.join();
  }

 private:
  struct Waiter {
    std::function<bool()> holds;
    std::promise<void> seen;
  };

  void loop() {
    while (io_.run_one() > 0)
      waiting_.remove_if([](const std::shared_ptr<Waiter>& w) {
        if (!w->holds()) return false;
        w->seen.set_value();
        return true;
      });
  }

  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{io_.get_executor()};
  std::list<std::shared_ptr<Waiter>> waiting_;  // of the io thread
  std::thread thread_;
};

}  // namespace sluice::test
