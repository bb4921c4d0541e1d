#pragma once
// A running HttpServer on a free port, its io_context on a thread of its own; the test thread plays the clients.
//
// With SLUICE_TEST_FRONT_THREADS=N in the environment (N of 2 and more) connections are on N threads beside that one,
// and routes are relayed to it: a test's handlers and its state are on one thread all the same.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "coordinator/http/relay.h"
#include "coordinator/http/server.h"
#include "tests/support/io_thread.h"
#include "tests/support/raw_client.h"

namespace sluice::test {

using namespace sluice::coordinator;
using namespace std::chrono_literals;

/// Accepts these keys, each an administrator's but those that begin with "user".
inline auto accept_keys(std::vector<std::string> keys) {
  return [keys = std::move(keys)](std::string_view key) -> std::expected<std::shared_ptr<const Caller>, ApiError> {
    for (const auto& k : keys)
      if (k == key) {
        auto c = std::make_shared<Caller>();
        c->key_id = k;
        c->admin = !k.starts_with("user");
        return c;
      }
    return std::unexpected(ApiError{401, "no such key", "authentication_error", {}, "invalid_api_key", {}});
  };
}

/// 1: none of their own.
inline int front_threads() {
  const char* n = std::getenv("SLUICE_TEST_FRONT_THREADS");
  return n == nullptr ? 1 : std::max(1, std::atoi(n));
}

/// So many, for one test.
class FrontThreads {
 public:
  explicit FrontThreads(int threads) : before_(front_threads()) { set(threads); }
  ~FrontThreads() { set(before_); }
  FrontThreads(const FrontThreads&) = delete;
  FrontThreads& operator=(const FrontThreads&) = delete;

 private:
  static void set(int threads) { ::setenv("SLUICE_TEST_FRONT_THREADS", std::to_string(threads).c_str(), 1); }
  int before_;
};

class ServerFixture {
 public:
  /// The routes of a lane that is on this io_context.
  using RoutesOf = std::function<HttpRoutes(boost::asio::io_context&)>;

  /// `io` is shared when what answers the routes lives on it too.
  explicit ServerFixture(HttpRoutes routes, HttpServerOptions options = {},
                         std::shared_ptr<IoThread> io = std::make_shared<IoThread>())
      : ServerFixture(
            [routes = std::move(routes), io](boost::asio::io_context& lane) {
              if (&lane == &io->io()) return routes;
              HttpRoutes its;
              its.add_all(routes, [&](const HttpHandler& h) { return relayed(h, lane, io->io()); });
              return its;
            },
            std::move(options), io) {}
  ServerFixture(const RoutesOf& routes, HttpServerOptions options, std::shared_ptr<IoThread> io) : io_(std::move(io)) {
    options.port = 0;
    const int threads = front_threads();
    for (int i = 0; i < threads && threads > 1; ++i) fronts_.push_back(std::make_unique<IoThread>());
    io_->on_io([&] {
      server_.emplace(lanes(routes), options);
      REQUIRE(server_->listen());
      port_ = server_->port();
    });
  }
  ~ServerFixture() {
    for (auto& front : fronts_) front->stop();
    io_->on_io([this] { server_.reset(); });
    io_->join();
  }
  std::uint16_t port() const { return port_; }
  boost::asio::io_context& io() { return io_->io(); }
  HttpServer& server() { return *server_; }
  template <class F>
  auto on_io(F f) {
    return io_->on_io(std::move(f));
  }
  HttpServerStats stats() { return server_->stats(); }
  /// Whether a condition of the server's counters comes true in time.
  template <class P>
  bool eventually(P holds) {
    const auto now = [this, holds] { return holds(server_->stats()); };
    if (fronts_.empty()) return io_->eventually(now);
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!on_io(now) && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
    return on_io(now);
  }
  /// The records of finished exchanges. A client can hold an answer's last byte a moment before its record exists.
  std::vector<HttpExchange> exchanges() {
    REQUIRE(eventually([](const HttpServerStats& st) { return st.active == 0; }));
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  std::vector<HttpLane> lanes(const RoutesOf& routes) {
    std::vector<HttpLane> all;
    const auto see = [this](const HttpExchange& e) {
      const std::lock_guard lock(mutex_);
      seen_.push_back(e);
    };
    if (fronts_.empty()) all.push_back({io_->io(), routes(io_->io()), see});
    for (const auto& front : fronts_) all.push_back({front->io(), routes(front->io()), see});
    return all;
  }
  std::shared_ptr<IoThread> io_;
  std::vector<std::unique_ptr<IoThread>> fronts_;
  std::optional<HttpServer> server_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::vector<HttpExchange> seen_;
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
