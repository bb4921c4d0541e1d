#pragma once
// Internal to the HTTP server: what the connections of one lane share. Threading: the lane's thread, but for seats and
// stats, which any thread may read.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <memory>
#include <unordered_set>

#include "coordinator/http/body_gate.h"
#include "coordinator/http/eviction_queue.h"
#include "coordinator/http/http_date.h"
#include "coordinator/http/pace.h"
#include "coordinator/http/seat_count.h"
#include "coordinator/http/server.h"

namespace sluice::coordinator {

class HttpConnection;

struct HttpServerCore {
  HttpServerCore(HttpLane lane, const HttpServerOptions& o, std::shared_ptr<BodyGate> gate)
      : io(lane.io),
        options(o),
        routes(std::move(lane.routes)),
        observer(std::move(lane.observer)),
        bodies(std::move(gate)) {}

  boost::asio::io_context& io;
  const HttpServerOptions options;
  const HttpRoutes routes;
  HttpObserve observer;
  HttpServerStats stats;
  HttpDate date;
  const std::shared_ptr<BodyGate> bodies;  // of all lanes
  // What is read only to be thrown away takes a few percent of the thread, whoever sends how much of it.
  Pace discard_pace{64e6, std::chrono::milliseconds(2)};
  bool draining = false;
  bool drain_expired = false;
  bool ended = false;                               // what still arrives is closed
  std::unordered_set<HttpConnection*> connections;  // each removes itself when its coroutine ends
  const std::shared_ptr<SeatCount> seats = std::make_shared<SeatCount>();
  EvictionQueue evictable;
  std::deque<std::weak_ptr<HttpConnection>> to_write;  // each at most once; not empty: write_due() was posted
  std::size_t held = 0;                                // connections that a drain waits for
  std::function<void()> on_released;                   // set while draining: held became 0
  std::function<void()> on_empty;                      // set at a drain's end

  /// Calls the connection's write_queued() soon: behind what the thread has to do already, and before it sleeps.
  /// `self`: this, kept alive until then.
  void write_soon(const std::shared_ptr<HttpServerCore>& self, std::weak_ptr<HttpConnection> connection);
  void write_due(const std::shared_ptr<HttpServerCore>& self);
  /// Closes the connection that can best be spared. False: all are needed.
  [[nodiscard]] bool make_room();
  /// `released` is called once, when the connections that had a request are done with it.
  void drain(std::function<void()> released);
  void expire();
  /// `empty` is called once, when the last connection is gone.
  void end(std::function<void()> empty);
  void cut_all();
  [[nodiscard]] std::vector<std::shared_ptr<HttpConnection>> alive() const;
  /// Who asks; 401.
  [[nodiscard]] std::expected<std::shared_ptr<const Caller>, ApiError> caller(const HttpHeaders& headers) const;
  /// The Access-Control-Allow-Origin value for this request, if CORS is on and allows it.
  [[nodiscard]] std::optional<std::string> allowed_origin(const HttpHeaders& headers) const;
};

}  // namespace sluice::coordinator
