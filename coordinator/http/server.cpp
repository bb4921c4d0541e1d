#include "coordinator/http/server.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
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

/// Says now and then, not once per connection, that the server is short of room.
class Shortage {
 public:
  void note(std::string_view what, const HttpServerCore& core) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::seconds(10);
    log::warn("http connections have to make room", {{"why", what},
                                                     {"open", core.seats},
                                                     {"max_connections", core.options.max_connections},
                                                     {"evicted", core.stats.evicted},
                                                     {"refused", core.stats.refused}});
  }

 private:
  TimePoint next_{};
};

asio::awaitable<void> accept_loop(std::shared_ptr<HttpServerCore> core) {
  Shortage shortage;
  while (core->acceptor.is_open()) {
    error_code ec;
    tcp::socket socket = co_await core->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, ec));
    if (!core->acceptor.is_open()) break;
    if (ec) {
      shortage.note(ec.message(), *core);
      // The descriptor of one that can be spared; with none the next try would fail at once: don't spin.
      if (ec == asio::error::no_descriptors && core->make_room()) continue;
      asio::steady_timer pause(core->acceptor.get_executor(), std::chrono::milliseconds(50));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ec));
      continue;
    }
    if (core->seats >= core->options.max_connections) {
      shortage.note("all are taken", *core);
      if (!core->make_room()) {
        turn_away(std::move(socket), *core);
        continue;
      }
    }
    ++core->stats.accepted;
    const auto& o = core->options;
    const auto secured = o.tls ? tls::Secured{o.tls->current(), {}, o.handshakes} : tls::Secured{};
    std::make_shared<HttpConnection>(tls::Stream(std::move(socket), secured), core)->start();
  }
}

}  // namespace

std::expected<std::shared_ptr<const Caller>, ApiError> HttpServerCore::caller(const HttpHeaders& headers) const {
  static const auto kAnybody = std::make_shared<const Caller>();
  if (!options.identify) return kAnybody;
  constexpr std::string_view kScheme = "Bearer ";
  const auto value = headers.find("authorization");
  const bool bearer =
      value && value->size() >= kScheme.size() && equals_ignore_case(value->substr(0, kScheme.size()), kScheme);
  if (bearer) return options.identify(value->substr(kScheme.size()));
  return options.identify(headers.find("x-api-key").value_or(std::string_view()));  // as Anthropic's clients say it
}

std::optional<std::string> HttpServerCore::allowed_origin(const HttpHeaders& headers) const {
  auto origin = headers.find("origin");
  if (!origin) return std::nullopt;
  for (const auto& allowed : options.cors_origins)
    if (allowed == "*" || allowed == *origin) return std::string(allowed == "*" ? "*" : *origin);
  return std::nullopt;
}

HttpServer::HttpServer(asio::io_context& io, HttpServerOptions options, HttpRoutes routes, Observer observer)
    : core_(std::make_shared<HttpServerCore>(io)) {
  core_->options = std::move(options);
  const auto& o = core_->options;
  core_->bodies = std::make_shared<BodyGate>(
      io.get_executor(), BodyLimits{o.bodies_of_client * o.max_body_bytes, o.bodies_in_all * o.max_body_bytes});
  core_->routes = std::move(routes);
  core_->observer = std::move(observer);
}

HttpServer::~HttpServer() {
  core_->observer = nullptr;
  core_->on_released = core_->on_empty = nullptr;
  core_->drain_timer.cancel();
  core_->stop_accepting();
  core_->cut_all();
}

Result<> HttpServer::listen() {
  const auto& o = core_->options;
  error_code ec;
  std::string host = o.host == "localhost" ? "127.0.0.1" : o.host;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  auto address = asio::ip::make_address(host, ec);
  if (ec) return fail_param("http.host", "'{}' is not an IP address to listen on", o.host);
  tcp::endpoint endpoint(address, o.port);
  auto& a = core_->acceptor;
  a.open(endpoint.protocol(), ec);
  if (!ec) a.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) a.bind(endpoint, ec);
  if (!ec) a.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) {
    error_code ignored;
    a.close(ignored);
    return fail(Errc::unavailable, "cannot listen on {}: {}", net::host_port(o.host, o.port), ec.message());
  }
  core_->port = a.local_endpoint().port();
  asio::co_spawn(a.get_executor(), [core = core_] { return accept_loop(core); }, asio::detached);
  return {};
}

std::uint16_t HttpServer::port() const noexcept { return core_->port; }
std::string HttpServer::address() const { return net::host_port(core_->options.host, core_->port); }
const HttpServerStats& HttpServer::stats() const noexcept { return core_->stats; }

bool HttpServerCore::make_room() {
  const auto* seat = evictable.pick(std::chrono::steady_clock::now());
  if (seat == nullptr) return false;
  seat->owner->evict();
  return true;
}

void HttpServerCore::write_soon(const std::shared_ptr<HttpServerCore>& self, std::weak_ptr<HttpConnection> connection) {
  to_write.push_back(std::move(connection));
  if (to_write.size() == 1) asio::post(acceptor.get_executor(), [self] { self->write_due(self); });
}

/// Some at a time: whoever else wants the thread does not wait for all of them.
void HttpServerCore::write_due(const std::shared_ptr<HttpServerCore>& self) {
  constexpr std::size_t kAtOnce = 64;
  for (std::size_t n = std::min(kAtOnce, to_write.size()); n > 0; --n) {
    // Behind its write it may be due again.
    const auto connection = to_write.front().lock();
    if (connection) connection->write_queued();
    to_write.pop_front();
  }
  if (!to_write.empty()) asio::post(acceptor.get_executor(), [self] { self->write_due(self); });
}

void HttpServerCore::stop_accepting() {
  error_code ec;
  acceptor.close(ec);
}

std::vector<std::shared_ptr<HttpConnection>> HttpServerCore::alive() const {
  std::vector<std::shared_ptr<HttpConnection>> all;
  for (auto* c : connections)
    if (auto alive = c->weak_from_this().lock()) all.push_back(std::move(alive));
  return all;
}

void HttpServerCore::cut_all() {
  // A cut can end a connection and with it its place in the set.
  for (auto& c : alive()) c->cut(Disconnect::server_stopping);
}

void HttpServer::drain(Duration deadline, std::function<void()> done) {
  core_->draining = true;
  auto finish = [core = core_.get(), done = std::move(done)] {
    core->stop_accepting();
    core->on_empty = [core, done] {
      core->drain_timer.cancel();
      asio::post(core->acceptor.get_executor(), done);
    };
    for (auto& c : core->alive()) core->drain_expired ? c->cut(Disconnect::server_stopping) : c->end_soon();
    if (core->connections.empty() && core->on_empty) std::exchange(core->on_empty, nullptr)();
  };
  core_->drain_timer.expires_after(deadline);
  core_->drain_timer.async_wait([weak = std::weak_ptr(core_)](error_code ec) {
    auto core = weak.lock();
    if (ec || !core) return;
    log::warn("http drain deadline passed; cutting what is left", {{"connections", core->connections.size()}});
    core->drain_expired = true;
    core->cut_all();
  });
  core_->on_released = std::move(finish);
  for (auto& c : core_->alive()) c->drain();
  if (core_->held == 0 && core_->on_released) std::exchange(core_->on_released, nullptr)();
}

}  // namespace sluice::coordinator
