#pragma once
// The coordinator's front door: HTTP/1.1 on Boost.Asio coroutines, over TCP or TLS. It accepts, bounds, authenticates,
// routes, and streams answers with backpressure; it knows nothing of models.
//
// Lifecycle: construct, listen(), run the io_context; drain() for a graceful end. Destroying the server cuts what
// is left. Threading: a lane is an io_context that one thread runs; a connection and all that is called for its
// requests stay on one lane. The first lane's thread accepts and hands new connections to the lane with the fewest.
// What must hold for all of them does: open sockets and large bodies are counted together. With one lane nothing is
// handed over. The server is made and destroyed on its one lane's thread, or while nobody runs its lanes; drain() and
// stats() may be called on any thread. Failure modes: a client can be slow, gone, huge or malformed; each has its bound
// in HttpServerOptions, its status code and its counter in HttpServerStats. Nothing a client sends throws out of the
// server.
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/tls/source.h"
#include "common/tls/stream.h"
#include "coordinator/http/http_count.h"
#include "coordinator/http/routes.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;  // 0 = any free port

  // Beyond, one that waits or sends its body slowly is closed for a new one; where none can go, the new one gets 503.
  std::size_t max_connections = 4096;
  std::size_t max_header_bytes = 32 * 1024;  // 431 beyond
  std::size_t max_body_bytes = 16 << 20;     // 413 beyond
  // Bodies in the house, as multiples of max_body_bytes: those beyond wait unread (BodyGate), 429 after body_timeout.
  std::size_t bodies_of_client = 2;
  std::size_t bodies_in_all = 16;
  std::size_t free_body_bytes = 32 * 1024;           // bodies that never wait
  std::size_t max_buffered_bytes = 1 << 20;          // unsent bytes of one stream; the reader is cut off beyond
  Duration idle_timeout = std::chrono::seconds(75);  // between requests of a kept-alive connection
  Duration header_timeout =
      std::chrono::seconds(10);                       // from a request's first byte (or the accept) to its header's end
  Duration body_timeout = std::chrono::seconds(60);   // from the header's end to the body's end
  Duration write_timeout = std::chrono::seconds(30);  // without any progress
  Duration linger_timeout = std::chrono::seconds(2);  // after an early refusal, so that the client can read it
  // Of an answer to a client that has ended its sending and can't be asked whether it listens (AnswerWatch).
  Duration half_close_grace = std::chrono::seconds(1);
  // Silence that a stream of events may keep (Responder::keep_alive); 0 = any.
  Duration stream_keepalive = std::chrono::seconds(15);

  /// Whose key is it that came as "Authorization: Bearer KEY", or else as "x-api-key: KEY"? Null: no authentication.
  std::function<std::expected<std::shared_ptr<const Caller>, ApiError>(std::string_view key)> identify = {};
  std::shared_ptr<tls::Source> tls = {};                        // null: plain
  std::optional<boost::asio::any_io_executor> handshakes = {};  // where their costly part runs; nothing: here
  std::vector<std::string> cors_origins = {};                   // allowed browser origins, "*" = any; empty = CORS off
};

/// Counted by one thread; any thread may read them.
struct HttpServerStats {
  HttpCount accepted;
  HttpCount evicted;  // closed to make room for others
  HttpCount refused;  // over max_connections, with nobody to evict
  HttpCount open;     // connections now
  HttpCount active;   // requests being answered now
  HttpCount requests;
  HttpCount bad_requests;        // refused by the server itself: malformed, too large, too slow, no key, no route
  HttpCount client_closed;       // answers cut by the client
  HttpCount slow_readers;        // answers cut by us
  HttpCount read_timeouts;       // 408, and idle connections closed
  HttpCount handshake_failures;  // connections that did not get through TLS
  HttpCount bytes_in;
  HttpCount bytes_out;

  HttpServerStats& operator+=(const HttpServerStats& more);
};

/// One answered (or cut) request, for access logs and metrics; also one that was refused before it had a method or a
/// route.
struct HttpExchange {
  std::string method;
  std::string route;  // the pattern; "-" where none matched
  int status = 0;     // 0: cut before any answer
  std::string code;   // of an error: one of our own list; empty for others
  Duration duration{};
  std::string request_id;
  std::string peer;
  std::optional<Disconnect> cut;
};

using HttpObserve = std::function<void(const HttpExchange&)>;

/// A thread's part of the server: what is called there for its connections.
struct HttpLane {
  boost::asio::io_context& io;
  HttpRoutes routes;
  HttpObserve observer;
};

class HttpServer {
 public:
  /// lanes: one at least.
  HttpServer(std::vector<HttpLane> lanes, const HttpServerOptions& options);
  /// With one lane.
  HttpServer(boost::asio::io_context& io, const HttpServerOptions& options, HttpRoutes routes,
             HttpObserve observer = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Binds and starts accepting. unavailable with the address in words if the port is taken.
  [[nodiscard]] Result<> listen();
  [[nodiscard]] std::uint16_t port() const noexcept;
  /// The host it was told and the port it has, as in a URL.
  [[nodiscard]] std::string address() const;
  /// Of all lanes together.
  [[nodiscard]] HttpServerStats stats() const;

  /// Closes kept-alive connections without a request and lets the others finish theirs, while new connections are still
  /// taken and one request of each is answered (the handlers say that the service ends). Once the requests of before
  /// the drain are over, or at `deadline`, which cuts them: stops accepting, ends what is left, and calls `done` once
  /// (posted to the first lane, never from inside drain()).
  void drain(Duration deadline, std::function<void()> done);

 private:
  std::shared_ptr<class HttpDoor> door_;
};

}  // namespace sluice::coordinator
