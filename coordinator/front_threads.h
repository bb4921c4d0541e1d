#pragma once
// The threads of the front, where it has several: a front on each, with a backend that speaks for the real one on the
// deciding thread (docs/adr/0013-a-front-of-several-threads.md).
//
// Lifecycle: construct, give lanes() to the server, start(); stop() joins the threads, and only then may the server go.
// Threading: the deciding thread. Lifetime: the real backend and what the fronts use outlive this. The io_contexts
// outlive the deciding thread's and all that may still hold a responder of theirs.
#include <boost/asio/executor_work_guard.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "common/net/ticker.h"
#include "coordinator/api/remote_backend.h"
#include "coordinator/api/worker_thread.h"
#include "coordinator/front.h"
#include "coordinator/http/server.h"

namespace sluice::coordinator {

class FrontThreads {
 public:
  using Ios = std::deque<boost::asio::io_context>;

  /// A thread for each of `ios`; none where there are none.
  FrontThreads(Ios& ios, boost::asio::io_context& deciding, Backend& real, const FrontUses& uses);
  ~FrontThreads();
  FrontThreads(const FrontThreads&) = delete;
  FrontThreads& operator=(const FrontThreads&) = delete;

  /// A lane for each: the API's routes, those of `deciding` relayed to that thread, and what `more` adds.
  [[nodiscard]] std::vector<HttpLane> lanes(const HttpRoutes& deciding, const std::function<void(HttpRoutes&)>& more);
  void start();
  /// Joins them. What is still asked there is answered by nobody.
  void stop();

 private:
  struct Thread {
    Thread(boost::asio::io_context& its, boost::asio::io_context& deciding, Backend& real, const FrontUses& uses)
        : io(its), backend(io, deciding, real), front(io, backend, uses) {}
    boost::asio::io_context& io;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> works{io.get_executor()};
    RemoteBackend backend;
    Front front;
    std::unique_ptr<WorkerThread> thread;
  };
  boost::asio::io_context& deciding_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::optional<net::Ticker> refresh_;
};

}  // namespace sluice::coordinator
