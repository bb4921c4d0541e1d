#include "coordinator/http/connection.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "common/log.h"
#include "common/net/address.h"
#include "coordinator/http/body_reader.h"
#include "coordinator/http/preflight.h"
#include "coordinator/http/request_reader.h"

namespace sluice::coordinator {

namespace asio = boost::asio;
using boost::system::error_code;

// ---- Life ----

HttpConnection::HttpConnection(tls::Stream stream, std::shared_ptr<HttpServerCore> core, SeatCount::Seat counted)
    : core_(std::move(core)),
      stream_(std::move(stream)),
      counted_(std::move(counted)),
      in_(stream_, core_->options.max_header_bytes, core_->stats, core_->discard_pace),
      out_(stream_, core_->options, core_->stats, [this] { lost(Disconnect::slow_reader); }),
      wake_(stream_.get_executor()) {
  error_code ec;
  auto remote = stream_.socket().remote_endpoint(ec);
  if (!ec) peer_ = net::host_port(remote.address().to_string(), remote.port());
  seat_.owner = this;
  seat_.peer = EvictionQueue::peer_of(remote.address());
  seat_.received = &in_.received();
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ec);
  stream_.socket().non_blocking(true, ec);  // AnswerWriter::write_now() never waits
  core_->connections.insert(this);
  core_->stats.open = core_->connections.size();
}

HttpConnection::~HttpConnection() {
  give_up_seat();
  core_->connections.erase(this);
  core_->stats.open = core_->connections.size();
  if (held_ && --core_->held == 0 && core_->on_released) std::exchange(core_->on_released, nullptr)();
  if (core_->connections.empty() && core_->on_empty) std::exchange(core_->on_empty, nullptr)();
}

void HttpConnection::start() {
  auto self = shared_from_this();
  out_.belong_to(self);
  core_->evictable.wait(seat_);
  asio::co_spawn(stream_.get_executor(), [self] { return self->run(); }, asio::detached);
}

asio::awaitable<void> HttpConnection::run() {
  auto self = shared_from_this();
  if (stream_.secure()) {
    const bool agreed = co_await shake_hands();
    if (!agreed) {
      ++core_->stats.handshake_failures;
      close();
      co_return;
    }
  }
  asio::co_spawn(stream_.get_executor(), [self] { return self->read_side(); }, asio::detached);
  co_await serve();
}

asio::awaitable<bool> HttpConnection::shake_hands() {
  asio::steady_timer limit(stream_.get_executor(), core_->options.header_timeout);
  limit.async_wait([weak = weak_from_this()](error_code ec) {
    const auto self = weak.lock();
    if (ec || !self) return;
    ++self->core_->stats.read_timeouts;
    self->close();
  });
  error_code ec;
  co_await stream_.async_handshake(asio::redirect_error(asio::use_awaitable, ec));
  limit.cancel();
  if (ec && !stream_.problem().message.empty())
    log::debug("http handshake failed", {{"peer", peer_}, {"why", stream_.problem().message}});
  co_return !ec && stream_.is_open();
}

void HttpConnection::post(std::function<void()> f) { asio::post(stream_.get_executor(), std::move(f)); }

void HttpConnection::give_up_seat() {
  core_->evictable.leave(seat_);
  counted_.give_up();
}

void HttpConnection::close() {
  cut_ ? stream_.close() : stream_.finish();
  give_up_seat();
  out_.cancel_timer();
  in_.closed();
  wake_.notify();
}

void HttpConnection::drain() {
  if (!idle_ && !held_) {
    held_ = true;
    ++core_->held;
  }
  // One that has said nothing yet may have its first request on the way, and gets an answer to it.
  if (idle_ && !first_request_) close();
}

void HttpConnection::end_soon() {
  if (!exchange_open_ && !in_.discarding()) close();
}

void HttpConnection::cut(Disconnect why) {
  if (exchange_open_) {
    exchange_open_ = false;
    record_.cut = why;
    if (why == Disconnect::client_closed) ++core_->stats.client_closed;
    if (why == Disconnect::slow_reader) ++core_->stats.slow_readers;
    log::write(why == Disconnect::client_closed ? log::Level::debug : log::Level::warn, "http answer cut",
               {{"reason", name(why)}, {"route", record_.route}, {"peer", peer_}, {"request_id", record_.request_id}});
    if (auto ex = exchange_.lock()) ex->cut(why);
  }
  cut_ = true;
  out_.drop();
  close();
}

void HttpConnection::evict() {
  ++core_->stats.evicted;
  close();
}

void HttpConnection::lost(Disconnect why) {
  exchange_open_ = true;  // also when only the tail was left to send: the client did not get all of its answer
  cut(why);
}

asio::awaitable<void> HttpConnection::read_side() {
  co_await in_.run();
  wake_.notify();
  co_await in_.until_gone();
  if (in_.gone() && exchange_open_ && dispatched_) cut(Disconnect::client_closed);
  wake_.notify();
}

// ---- One request after another ----

asio::awaitable<void> HttpConnection::serve() {
  bool more = true;
  while (more && stream_.is_open()) {
    more = co_await serve_one();
    first_request_ = false;
  }
  idle_ = true;
  if (stream_.is_open() && !in_.ended()) {
    core_->evictable.wait(seat_);
    co_await linger();
  }
  close();
}

asio::awaitable<bool> HttpConnection::await_first_byte() {
  auto timeout = first_request_ ? core_->options.header_timeout : core_->options.idle_timeout;
  auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    // RFC 9112 2.2: ignore empty lines before a request line.
    const auto bytes = in_.bytes();
    in_.consume(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
    if (!in_.bytes().empty()) co_return true;
    if (core_->draining && !first_request_) co_return false;
    auto more = co_await in_.more(deadline);
    if (more == Inbox::More::data) continue;
    if (more == Inbox::More::timeout) ++core_->stats.read_timeouts;
    co_return false;
  }
}

std::optional<ApiError> HttpConnection::check_request(RequestReader& reader, const HttpRoutes::Match& match) {
  auto caller = core_->caller(request_.headers);
  if (caller) request_.caller = std::move(*caller);
  if (!match.open && !request_.caller) return caller.error();
  if (match.allow.empty()) return refusal(404, fmt::format("There is no {} here.", request_.path), "unknown_path");
  if (!match.handler)
    return refusal(405, fmt::format("{} does not answer {}.", match.route, request_.method), "method_not_allowed");
  if (match.admin && !(request_.caller && request_.caller->admin))
    return ApiError{403,
                    fmt::format("{} {} takes an administrator's API key.", request_.method, match.route),
                    "permission_error",
                    {},
                    "admin_key_required",
                    std::nullopt};
  return reader.check_framing(request_);
}

void HttpConnection::begin_request() {
  idle_ = false;
  request_ = {};
  request_.peer = peer_;
  request_.received = started_ = std::chrono::steady_clock::now();
  traits_ = {};
  record_ = {};
  record_.route = "-";
  record_.peer = peer_;
  origin_.reset();
  errors_ = nullptr;
  request_id_header_ = {};
  ++core_->stats.requests;
}

asio::awaitable<bool> HttpConnection::serve_one() {
  idle_ = true;
  core_->evictable.wait(seat_);
  if (!co_await await_first_byte()) co_return false;
  begin_request();

  RequestReader reader(in_, core_->options, core_->stats);
  auto unread = co_await reader.head(request_.received);
  core_->evictable.leave(seat_);
  if (unread) {
    if (reader.given_up()) close();
    co_return co_await refuse(*unread, {});
  }
  auto malformed = reader.take_head(request_, traits_);
  record_.method = request_.method;
  record_.request_id = request_.request_id;
  origin_ = core_->allowed_origin(request_.headers);
  if (malformed) {
    traits_.keep_alive = false;
    co_return co_await refuse(*malformed, {});
  }
  if (!reader.complete() && request_.method == "OPTIONS") traits_.keep_alive = false;  // its body stays unread
  auto match = core_->routes.find(request_.method, request_.path);
  if (!match.route.empty()) record_.route = match.route;
  errors_ = match.errors;
  request_id_header_ = match.request_id_header;
  if (request_.method == "OPTIONS" && (request_.path == "*" || !match.allow.empty())) {
    begin_exchange();
    send_response(options_response(request_, match, origin_));
    co_await flush();
    end_exchange();
    co_return traits_.keep_alive;
  }
  if (auto e = check_request(reader, match)) {
    if (!reader.complete()) traits_.keep_alive = false;  // its body stays unread
    HttpHeaders extra;
    if (e->status == 405) extra.add("allow", match.allow);
    if (e->status == 415) extra.add("accept-encoding", std::string(kContentCodings));
    co_return co_await refuse(*e, std::move(extra));
  }
  BodyReader body({*core_, seat_, in_, out_, stream_, wake_, weak_from_this(), [this] { return flush(); }}, reader,
                  traits_);
  if (auto e = co_await body.read(request_)) {
    if (reader.given_up()) close();
    traits_.keep_alive = false;
    co_return co_await refuse(*e, {});
  }
  if (!stream_.is_open()) co_return false;  // the server stopped while the body was decoded
  request_.rest = std::move(match.rest);
  if (traits_.head_only) request_.method = "GET";
  co_await answer(*match.handler);
  co_return traits_.keep_alive && !core_->draining;
}

asio::awaitable<bool> HttpConnection::refuse(ApiError error, HttpHeaders extra) {
  if (!stream_.is_open()) co_return false;
  ++core_->stats.bad_requests;
  if (request_.request_id.empty()) request_.request_id = record_.request_id = generate_request_id();
  HttpResponse r = error_response(error);
  for (const auto& [n, v] : extra) r.headers.add(n, v);
  begin_exchange();
  send_response(r);
  co_await flush();
  end_exchange();
  co_return traits_.keep_alive;
}

asio::awaitable<void> HttpConnection::answer(const HttpHandler& handler) {
  begin_exchange();
  dispatched_ = true;
  watch_.emplace(std::chrono::steady_clock::now(), core_->options.half_close_grace);
  handle(handler);
  while (stream_.is_open()) {
    if (!out_.empty()) {
      co_await flush();
      watch_->sent(std::chrono::steady_clock::now());
      continue;
    }
    if (!exchange_open_) break;
    const TimePoint next = tend();
    if (out_.empty() && exchange_open_) co_await wake_.wait(next);
  }
  dispatched_ = false;
  end_exchange();
}

void HttpConnection::handle(const HttpHandler& handler) {
  auto ex = std::make_shared<Exchange>(weak_from_this());
  exchange_ = ex;
  call_handler(handler, std::move(request_), ex);
}

// ---- A silent answer ----

void HttpConnection::keep_alive(std::string comment, std::function<void()> begin) {
  comment_ = std::move(comment);
  begin_stream_ = std::move(begin);
  watch_->keep_alive_every(core_->options.stream_keepalive);
  wake_.notify();
}

bool HttpConnection::can_probe() const {
  if (streaming_) return !comment_.empty() && !traits_.head_only;
  return !traits_.http10;  // which has no interim responses
}

TimePoint HttpConnection::tend() {
  const auto now = std::chrono::steady_clock::now();
  if (in_.ended()) watch_->ended(now);
  if (in_.gone()) {
    cut(Disconnect::client_closed);
    return now;
  }
  switch (watch_->due(now, can_probe())) {
    case AnswerWatch::Act::none:
      break;
    case AnswerWatch::Act::probe:
      streaming_ ? send_chunk(comment_) : out_.interim_continue();
      break;
    case AnswerWatch::Act::keep_alive:
      watch_->sent(now);
      break_silence();
      break;
    case AnswerWatch::Act::give_up:
      cut(Disconnect::client_closed);
      break;
  }
  return watch_->next(can_probe());
}

void HttpConnection::break_silence() {
  if (const auto begin = std::exchange(begin_stream_, nullptr); begin && !streaming_) begin();
  if (streaming_)
    send_chunk(comment_);
  else
    watch_->keep_alive_every(Duration::zero());  // its handler has nothing to stream
}

void HttpConnection::begin_exchange() {
  exchange_open_ = true;
  streaming_ = false;
  comment_.clear();
  ++core_->stats.active;
}

void HttpConnection::end_exchange() {
  exchange_open_ = false;
  exchange_.reset();
  begin_stream_ = nullptr;
  record_.duration = std::chrono::steady_clock::now() - started_;
  if (core_->observer) core_->observer(record_);
  --core_->stats.active;  // whoever reads 0 has seen the record
}

asio::awaitable<void> HttpConnection::linger() {
  // Closing with unread input makes the kernel reset the connection, which can destroy the answer on its way.
  stream_.end_sending();
  co_await in_.discard(std::chrono::steady_clock::now() + core_->options.linger_timeout);
}

// ---- The answer ----

void HttpConnection::send_response(const HttpResponse& response) {
  if (core_->draining || nothing_follows()) traits_.keep_alive = false;
  if (response.error && errors_ != nullptr) {
    HttpResponse in_its_words = response;
    in_its_words.body = dump(errors_(*response.error, record_.request_id));
    out_.response(in_its_words, answer_traits());
  } else {
    out_.response(response, answer_traits());
  }
  record_.status = response.status;
  record_.code = response.code;
  exchange_open_ = false;
  write_soon();
}

void HttpConnection::send_stream_head(int status, const HttpHeaders& headers) {
  if (core_->draining || nothing_follows() || traits_.http10)
    traits_.keep_alive = false;  // in HTTP/1.0 the close ends the body
  out_.stream_head(status, headers, answer_traits());
  record_.status = status;
  streaming_ = true;
  write_soon();
}

void HttpConnection::send_chunk(std::string_view bytes) {
  if (!out_.piece(bytes)) return cut(Disconnect::slow_reader);
  write_soon();
}

void HttpConnection::send_stream_end() {
  out_.stream_end();
  exchange_open_ = false;
  write_soon();
}

void HttpConnection::abandoned(bool streaming) {
  log::error("http handler dropped its answer", {{"route", record_.route}, {"request_id", record_.request_id}});
  if (!streaming)
    return send_response(
        error_response({500, "The server failed to answer the request.", "server_error", {}, "internal", {}}));
  exchange_open_ = false;
  cut_ = true;
  out_.drop();
  close();
}

void HttpConnection::write_soon() {
  if (std::exchange(write_due_, true)) return;
  core_->write_soon(core_, weak_from_this());
}

void HttpConnection::write_queued() {
  write_due_ = false;
  if (!stream_.is_open()) return;
  const bool written = out_.write_now();
  if (written && watch_) watch_->sent(std::chrono::steady_clock::now());
  if (!written || !exchange_open_) wake_.notify();  // the rest, or the answer's end, is answer()'s concern
}

asio::awaitable<void> HttpConnection::flush() {
  const bool sent = co_await out_.flush();
  if (!sent && stream_.is_open()) lost(Disconnect::client_closed);
}

}  // namespace sluice::coordinator
