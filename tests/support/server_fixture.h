#pragma once
// A running HttpServer on a free port, its io_context on a thread of its own; the test thread plays the clients.
#include <catch2/catch.hpp>
#include <optional>

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

class ServerFixture {
 public:
  /// `io` is shared when what answers the routes lives on it too.
  explicit ServerFixture(HttpRoutes routes, HttpServerOptions options = {},
                         std::shared_ptr<IoThread> io = std::make_shared<IoThread>())
      : io_(std::move(io)) {
    options.port = 0;
    io_->on_io([&] {
      server_.emplace(io_->io(), std::move(options), std::move(routes),
                      [this](const HttpExchange& e) { seen_.push_back(e); });
      REQUIRE(server_->listen());
      port_ = server_->port();
    });
  }
  ~ServerFixture() {
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
  HttpServerStats stats() {
    return on_io([this] { return server_->stats(); });
  }
  /// Whether a condition of the server's counters comes true in time.
  template <class P>
  bool eventually(P holds) {
    return io_->eventually([this, holds] { return holds(server_->stats()); });
  }
  /// The records of finished exchanges. A client can hold an answer's last byte a moment before its record exists.
  std::vector<HttpExchange> exchanges() {
    REQUIRE(eventually([](const HttpServerStats& st) { return st.active == 0; }));
    return on_io([this] { return seen_; });
  }

 private:
  std::shared_ptr<IoThread> io_;
  std::optional<HttpServer> server_;
  std::uint16_t port_ = 0;
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
