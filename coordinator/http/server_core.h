#pragma once
// Internal to the HTTP server: what all its connections share.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <unordered_set>

#include "coordinator/http/body_gate.h"
#include "coordinator/http/eviction_queue.h"
#include "coordinator/http/http_date.h"
#include "coordinator/http/pace.h"
#include "coordinator/http/server.h"

namespace sluice::coordinator {

class HttpConnection;

struct HttpServerCore {
  explicit HttpServerCore(boost::asio::io_context& io) : acceptor(io), drain_timer(io) {}

  boost::asio::ip::tcp::acceptor acceptor;
  boost::asio::steady_timer drain_timer;
  HttpServerOptions options;
  HttpRoutes routes;
  HttpServer::Observer observer;
  HttpServerStats stats;
  HttpDate date;
  std::shared_ptr<BodyGate> bodies;  // set with the options
  // What is read only to be thrown away takes a few percent of the thread, whoever sends how much of it.
  Pace discard_pace{64e6, std::chrono::milliseconds(2)};
  std::uint16_t port = 0;
  bool draining = false;
  bool drain_expired = false;
  std::unordered_set<HttpConnection*> connections;  // each removes itself when its coroutine ends
  std::size_t seats = 0;                            // those whose socket is open: what max_connections counts
  EvictionQueue evictable;
  std::deque<std::weak_ptr<HttpConnection>> to_write;  // each at most once; not empty: write_due() was posted
  std::size_t held = 0;                                // connections that a drain waits for
  std::function<void()> on_released;                   // set while draining: held became 0
  std::function<void()> on_empty;                      // set at a drain's end

  /// Calls the connection's write_queued() soon: behind what the thread has to do already, and before it sleeps.
  /// `self`: this, kept alive until then.
  void write_soon(const std::shared_ptr<HttpServerCore>& self, std::weak_ptr<HttpConnection> connection);
  /// Closes the connection that can best be spared. False: all are needed.
  [[nodiscard]] bool make_room();
  void stop_accepting();
  void write_due(const std::shared_ptr<HttpServerCore>& self);
  void cut_all();
  [[nodiscard]] std::vector<std::shared_ptr<HttpConnection>> alive() const;
  /// Who asks; 401.
  [[nodiscard]] std::expected<std::shared_ptr<const Caller>, ApiError> caller(const HttpHeaders& headers) const;
  /// The Access-Control-Allow-Origin value for this request, if CORS is on and allows it.
  [[nodiscard]] std::optional<std::string> allowed_origin(const HttpHeaders& headers) const;
};

}  // namespace sluice::coordinator
