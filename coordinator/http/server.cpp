#include "coordinator/http/server.h"

#include "coordinator/http/door.h"

namespace sluice::coordinator {
namespace {

std::vector<HttpLane> one_lane(boost::asio::io_context& io, HttpRoutes routes, HttpObserve observer) {
  std::vector<HttpLane> lanes;
  lanes.push_back({io, std::move(routes), std::move(observer)});
  return lanes;
}

}  // namespace

HttpServerStats& HttpServerStats::operator+=(const HttpServerStats& more) {
  accepted += more.accepted;
  evicted += more.evicted;
  refused += more.refused;
  open += more.open;
  active += more.active;
  requests += more.requests;
  bad_requests += more.bad_requests;
  client_closed += more.client_closed;
  slow_readers += more.slow_readers;
  read_timeouts += more.read_timeouts;
  handshake_failures += more.handshake_failures;
  bytes_in += more.bytes_in;
  bytes_out += more.bytes_out;
  return *this;
}

HttpServer::HttpServer(std::vector<HttpLane> lanes, const HttpServerOptions& o) {
  const auto bodies =
      std::make_shared<BodyGate>(BodyLimits{o.bodies_of_client * o.max_body_bytes, o.bodies_in_all * o.max_body_bytes});
  std::vector<std::shared_ptr<HttpServerCore>> cores;
  for (auto& lane : lanes) cores.push_back(std::make_shared<HttpServerCore>(std::move(lane), o, bodies));
  door_ = std::make_shared<HttpDoor>(std::move(cores));
}

HttpServer::HttpServer(boost::asio::io_context& io, const HttpServerOptions& o, HttpRoutes routes, HttpObserve observer)
    : HttpServer(one_lane(io, std::move(routes), std::move(observer)), o) {}

HttpServer::~HttpServer() { door_->close(); }

Result<> HttpServer::listen() { return door_->listen(); }
std::uint16_t HttpServer::port() const noexcept { return door_->port(); }
std::string HttpServer::address() const { return door_->address(); }
HttpServerStats HttpServer::stats() const { return door_->stats(); }
void HttpServer::drain(Duration deadline, std::function<void()> done) { door_->drain(deadline, std::move(done)); }

}  // namespace sluice::coordinator
