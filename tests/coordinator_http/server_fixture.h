#pragma once
// A running HttpServer on a free port, its io_context on a thread of its own; the test thread plays the clients.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "coordinator/http_server.h"
#include "tests/support/raw_client.h"

namespace sluice::test {

using namespace sluice::coordinator;
using namespace std::chrono_literals;

class ServerFixture {
 public:
  explicit ServerFixture(HttpRoutes routes, HttpServerOptions options = {}) {
    options.port = 0;
    server_.emplace(io_, std::move(options), std::move(routes), [this](const HttpExchange& e) { seen_.push_back(e); });
    REQUIRE(server_->listen());
    thread_ = std::thread([this] { io_.run(); });
  }
  std::uint16_t port() const { return server_->port(); }
  boost::asio::io_context& io() { return io_; }
  HttpServer& server() { return *server_; }
  /// Runs f on the server's thread and waits for it.
  template <class F>
  auto on_io(F f) {
    std::packaged_task<decltype(f())()> task(std::move(f));
    auto result = task.get_future();
    boost::asio::post(io_, [&] { task(); });
    return result.get();
  }
  ~ServerFixture() {
    on_io([this] {
      server_.reset();
      guard_.reset();
    });
    thread_.join();
  }

  HttpServerStats stats() {
    return on_io([this] { return server_->stats(); });
  }
  /// Waits up to 5 s for a condition of the server's counters.
  template <class P>
  bool eventually(P holds) {
    for (int i = 0; i < 500; ++i) {
      if (holds(stats())) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  /// The records of finished exchanges. A client can hold an answer's last byte a moment before its record exists.
  std::vector<HttpExchange> exchanges() {
    REQUIRE(eventually([](const HttpServerStats& st) { return st.active == 0; }));
    return on_io([this] { return seen_; });
  }

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{io_.get_executor()};
  std::optional<HttpServer> server_;
  std::vector<HttpExchange> seen_;
  std::thread thread_;
};

inline HttpRoutes echo_routes() {
  HttpRoutes r;
  r.add("GET", "/hello", [](HttpRequest, std::shared_ptr<Responder> out) { out->respond({200, {}, "hello"}); });
  r.add("GET", "/health", [](HttpRequest, std::shared_ptr<Responder> out) { out->respond({200, {}, "ok"}); },
        {.open = true});
  r.add("POST", "/echo",
        [](HttpRequest q, std::shared_ptr<Responder> out) { out->respond({200, {}, std::move(q.body)}); });
  r.add_prefix("GET", "/items/",
               [](HttpRequest q, std::shared_ptr<Responder> out) { out->respond({200, {}, q.rest + "?" + q.query}); });
  return r;
}

}  // namespace sluice::test
