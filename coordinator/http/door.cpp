#include "coordinator/http/door.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/log.h"
#include "common/net/address.h"
#include "coordinator/http/connection.h"

namespace sluice::coordinator {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

/// Best effort, never waits: under a flood a refused client matters less than the ones being served.
void turn_away(tcp::socket socket, HttpServerCore& core) {
  ++core.stats.refused;
  const ApiError e{503,
                   "The server has as many connections as it takes; try again shortly.",
                   "service_unavailable_error",
                   {},
                   "too_many_connections",
                   std::chrono::seconds(1)};
  const HttpResponse r = error_response(e);
  const std::string text = fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\ndate: {}\r\n"
      "content-length: {}\r\nconnection: close\r\n\r\n{}",
      core.date.now(), r.body.size(), r.body);
  error_code ec;
  const auto remote = socket.remote_endpoint(ec);
  if (core.observer)
    core.observer({.route = "-",
                   .status = r.status,
                   .code = r.code,
                   .peer = net::host_port(remote.address().to_string(), remote.port())});
  socket.non_blocking(true, ec);
  if (!core.options.tls) socket.write_some(asio::buffer(text), ec);
  socket.shutdown(tcp::socket::shutdown_send, ec);
}

/// The same socket on another io_context. Not open: the system would not have it.
tcp::socket moved(tcp::socket socket, asio::io_context& to) {
  error_code ec;
  tcp::socket there(to);
  const auto local = socket.local_endpoint(ec);
  if (ec) return there;
  const auto handle = socket.release(ec);
  if (ec) return there;
  there.assign(local.protocol(), handle, ec);
  if (ec) ::close(handle);
  return there;
}

}  // namespace

template <class F>
void HttpDoor::on(const std::shared_ptr<HttpServerCore>& lane, F f) {
  asio::dispatch(lane->io, std::move(f));
}

HttpDoor::HttpDoor(std::vector<std::shared_ptr<HttpServerCore>> lanes)
    : lanes_(std::move(lanes)), acceptor_(lanes_.front()->io), drain_timer_(lanes_.front()->io) {}

std::string HttpDoor::address() const { return net::host_port(lanes_.front()->options.host, port_); }

HttpServerStats HttpDoor::stats() const {
  HttpServerStats all;
  for (const auto& lane : lanes_) all += lane->stats;
  return all;
}

Result<> HttpDoor::listen() {
  const auto& o = lanes_.front()->options;
  error_code ec;
  std::string host = o.host == "localhost" ? "127.0.0.1" : o.host;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  auto address = asio::ip::make_address(host, ec);
  if (ec) return fail_param("http.host", "'{}' is not an IP address to listen on", o.host);
  tcp::endpoint endpoint(address, o.port);
  acceptor_.open(endpoint.protocol(), ec);
  if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) {
    stop_accepting();
    return fail(Errc::unavailable, "cannot listen on {}: {}", net::host_port(o.host, o.port), ec.message());
  }
  port_ = acceptor_.local_endpoint().port();
  asio::co_spawn(acceptor_.get_executor(), [self = shared_from_this()] { return self->accept_loop(); }, asio::detached);
  return {};
}

void HttpDoor::stop_accepting() {
  error_code ec;
  acceptor_.close(ec);
}

// ---- Arrivals ----

asio::awaitable<void> HttpDoor::accept_loop() {
  const auto self = shared_from_this();
  while (acceptor_.is_open()) {
    error_code ec;
    tcp::socket socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, ec));
    if (!acceptor_.is_open()) break;
    if (ec) {
      note_shortage(ec.message());
      // The descriptor of one that can be spared; with none the next try would fail at once: don't spin.
      if (ec == asio::error::no_descriptors && free_descriptor()) continue;
      asio::steady_timer pause(acceptor_.get_executor(), std::chrono::milliseconds(50));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ec));
      continue;
    }
    const bool full = seats() >= lanes_.front()->options.max_connections;
    if (full) note_shortage("all are taken");
    send({std::move(socket), {}, 0, 0}, full ? most_crowded() : fewest());
  }
}

/// Says now and then, not once per connection, that the server is short of room.
void HttpDoor::note_shortage(std::string_view what) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_note_) return;
  next_note_ = now + std::chrono::seconds(10);
  const HttpServerStats s = stats();
  log::warn("http connections have to make room", {{"why", what},
                                                   {"open", seats()},
                                                   {"max_connections", lanes_.front()->options.max_connections},
                                                   {"evicted", static_cast<std::uint64_t>(s.evicted)},
                                                   {"refused", static_cast<std::uint64_t>(s.refused)}});
}

bool HttpDoor::free_descriptor() {
  for (std::size_t i = 1; i < lanes_.size(); ++i) on(lanes_[i], [lane = lanes_[i]] { (void)lane->make_room(); });
  return lanes_.front()->make_room();
}

std::size_t HttpDoor::seats() const {
  std::size_t all = 0;
  for (const auto& lane : lanes_) all += lane->seats->taken();
  return all;
}

std::size_t HttpDoor::fewest() {
  turn_ = (turn_ + 1) % lanes_.size();
  std::size_t best = turn_;
  for (std::size_t i = 1; i < lanes_.size(); ++i) {
    const std::size_t lane = (turn_ + i) % lanes_.size();
    if (lanes_[lane]->seats->taken() < lanes_[best]->seats->taken()) best = lane;
  }
  return best;
}

std::size_t HttpDoor::most_crowded() const {
  const auto most = std::ranges::max_element(lanes_, {}, [](const auto& lane) { return lane->evictable.largest(); });
  return static_cast<std::size_t>(most - lanes_.begin());
}

void HttpDoor::send(Arrival a, std::size_t lane) {
  a.seat = lanes_[lane]->seats->take();
  if (lane != a.lane) {
    a.socket = moved(std::move(a.socket), lanes_[lane]->io);
    a.lane = lane;
    if (!a.socket.is_open()) return;
  }
  on(lanes_[lane], [self = shared_from_this(), a = std::move(a)]() mutable { self->arrive(std::move(a)); });
}

void HttpDoor::arrive(Arrival a) {
  const auto& lane = lanes_[a.lane];
  const auto& o = lane->options;
  if (lane->ended) return;
  if (seats() > o.max_connections && !lane->make_room()) {
    if (++a.asked < lanes_.size()) {
      const std::size_t next = (a.lane + 1) % lanes_.size();
      return send(std::move(a), next);
    }
    return turn_away(std::move(a.socket), *lane);
  }
  ++lane->stats.accepted;
  const auto secured = o.tls ? tls::Secured{o.tls->current(), {}, o.handshakes} : tls::Secured{};
  std::make_shared<HttpConnection>(tls::Stream(std::move(a.socket), secured), lane, std::move(a.seat))->start();
}

// ---- The end ----

std::function<void()> HttpDoor::after_all(std::function<void()> then) {
  auto left = std::make_shared<std::size_t>(lanes_.size());  // of the first lane's thread
  return [first = lanes_.front(), left, then = std::move(then)] {
    on(first, [left, then] {
      if (--*left == 0) then();
    });
  };
}

void HttpDoor::drain(Duration deadline, std::function<void()> done) {
  on(lanes_.front(), [self = shared_from_this(), deadline, done = std::move(done)]() mutable {
    self->drain_timer_.expires_after(deadline);
    self->drain_timer_.async_wait([weak = self->weak_from_this()](error_code ec) {
      const auto door = weak.lock();
      if (ec || !door) return;
      for (const auto& lane : door->lanes_) on(lane, [lane] { lane->expire(); });
    });
    const auto released = self->after_all([door = self.get(), done = std::move(done)] { door->end_lanes(done); });
    for (const auto& lane : self->lanes_) on(lane, [lane, released] { lane->drain(released); });
  });
}

void HttpDoor::end_lanes(std::function<void()> done) {
  stop_accepting();
  const auto empty = after_all([this, done = std::move(done)] {
    drain_timer_.cancel();
    asio::post(acceptor_.get_executor(), done);
  });
  for (const auto& lane : lanes_) on(lane, [lane, empty] { lane->end(empty); });
}

void HttpDoor::close() {
  drain_timer_.cancel();
  stop_accepting();
  for (const auto& lane : lanes_) {
    lane->observer = nullptr;
    lane->on_released = lane->on_empty = nullptr;
    lane->ended = true;
  }
  for (const auto& lane : lanes_) lane->cut_all();
}

}  // namespace sluice::coordinator
