#include "coordinator/http/connection.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>

#include "common/log.h"

namespace sluice::coordinator {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

asio::awaitable<bool> Signal::wait(TimePoint deadline) {
  if (!set_) {
    timer_.expires_at(deadline);
    error_code ec;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
  }
  co_return std::exchange(set_, false);
}

// ---- Exchange ----

Exchange::~Exchange() {
  if (state_ == State::done || cut_) return;
  if (auto c = connection_.lock()) c->abandoned(state_ == State::streaming);
}

void Exchange::complete() {
  state_ = State::done;
  gone_ = nullptr;
}

void Exchange::respond(HttpResponse response) {
  if (state_ != State::waiting || cut_) return;
  complete();
  if (auto c = connection_.lock()) c->send_response(response);
}

std::shared_ptr<StreamWriter> Exchange::begin_stream(int status, HttpHeaders headers) {
  if (state_ == State::waiting && !cut_) {
    state_ = State::streaming;
    if (auto c = connection_.lock()) c->send_stream_head(status, headers);
  }
  return shared_from_this();
}

void Exchange::write(std::string_view bytes) {
  if (state_ != State::streaming || cut_) return;
  if (auto c = connection_.lock()) c->send_chunk(bytes);
}

void Exchange::finish() {
  if (state_ != State::streaming || cut_) return;
  complete();
  if (auto c = connection_.lock()) c->send_stream_end();
}

void Exchange::on_disconnect(std::function<void(Disconnect)> gone) {
  if (state_ == State::done) return;
  if (cut_)
    gone(*cut_);
  else
    gone_ = std::move(gone);
}

void Exchange::cut(Disconnect why) {
  if (state_ == State::done || cut_) return;
  cut_ = why;
  auto gone = std::exchange(gone_, nullptr);
  auto c = connection_.lock();
  // Posted: a cut can happen inside the handler's own write().
  if (gone && c) c->post([gone = std::move(gone), why] { gone(why); });
}

// ---- HttpConnection: life ----

HttpConnection::HttpConnection(asio::ip::tcp::socket socket, std::shared_ptr<HttpServerCore> core)
    : core_(std::move(core)),
      socket_(std::move(socket)),
      in_cap_(std::max<std::size_t>(64 * 1024, core_->options.max_header_bytes + read_chunk_.size())),
      data_(socket_.get_executor()),
      space_(socket_.get_executor()),
      wake_(socket_.get_executor()),
      stall_(socket_.get_executor()) {
  error_code ec;
  auto remote = socket_.remote_endpoint(ec);
  if (!ec) peer_ = fmt::format("{}:{}", remote.address().to_string(), remote.port());
  socket_.set_option(asio::ip::tcp::no_delay(true), ec);
  core_->connections.insert(this);
  core_->stats.open = core_->connections.size();
}

HttpConnection::~HttpConnection() {
  core_->connections.erase(this);
  core_->stats.open = core_->connections.size();
  if (held_ && --core_->held == 0 && core_->on_released) std::exchange(core_->on_released, nullptr)();
  if (core_->connections.empty() && core_->on_empty) std::exchange(core_->on_empty, nullptr)();
}

void HttpConnection::start() {
  auto self = shared_from_this();
  asio::co_spawn(socket_.get_executor(), [self] { return self->read_side(); }, asio::detached);
  asio::co_spawn(socket_.get_executor(), [self] { return self->serve(); }, asio::detached);
}

void HttpConnection::post(std::function<void()> f) { asio::post(socket_.get_executor(), std::move(f)); }

void HttpConnection::close() {
  error_code ec;
  socket_.close(ec);
  stall_.cancel();
  data_.notify();
  space_.notify();
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
  if (!exchange_open_ && !discard_) close();
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
  out_.clear();
  close();
}

void HttpConnection::lost(Disconnect why) {
  exchange_open_ = true;  // also when only the tail was left to send: the client did not get all of its answer
  cut(why);
}

// ---- Reading ----

asio::awaitable<void> HttpConnection::read_side() {
  while (socket_.is_open()) {
    if (in_.size() >= in_cap_) {
      co_await space_.wait();
      continue;
    }
    error_code ec;
    std::size_t n =
        co_await socket_.async_read_some(asio::buffer(read_chunk_), asio::redirect_error(asio::use_awaitable, ec));
    if (ec) break;
    core_->stats.bytes_in += n;
    if (discard_) continue;
    in_.append(read_chunk_.data(), n);
    data_.notify();
  }
  eof_ = true;
  if (exchange_open_ && dispatched_) cut(Disconnect::client_closed);
  data_.notify();
  wake_.notify();
}

asio::awaitable<HttpConnection::Fill> HttpConnection::fill(TimePoint deadline) {
  // Callers have parsed everything in in_, so after the end nothing can come.
  if (eof_ || !socket_.is_open()) co_return Fill::end;
  bool woken = co_await data_.wait(deadline);
  co_return woken ? Fill::data : Fill::timeout;
}

asio::awaitable<bool> HttpConnection::await_first_byte() {
  auto timeout = first_request_ ? core_->options.header_timeout : core_->options.idle_timeout;
  auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    // RFC 9112 2.2: ignore empty lines before a request line.
    in_.erase(0, std::min(in_.find_first_not_of("\r\n"), in_.size()));
    if (!in_.empty()) co_return true;
    if (core_->draining && !first_request_) co_return false;
    Fill f = co_await fill(deadline);
    if (f == Fill::data) continue;
    if (f == Fill::timeout) ++core_->stats.read_timeouts;
    co_return false;
  }
}

namespace {

ApiError refusal(int status, std::string message, std::string code) {
  return {status, std::move(message), status >= 500 ? "server_error" : "invalid_request_error",
          {},     std::move(code),    std::nullopt};
}

ApiError parse_refusal(const error_code& ec, const HttpServerOptions& o) {
  if (ec == http::error::header_limit)
    return refusal(431, fmt::format("The request's header is larger than {} bytes.", o.max_header_bytes),
                   "header_too_large");
  if (ec == http::error::body_limit)
    return refusal(413, fmt::format("The request's body is larger than {} bytes.", o.max_body_bytes), "body_too_large");
  if (ec == http::error::bad_version) return refusal(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.", "bad_version");
  return refusal(400, fmt::format("The request is not well-formed HTTP: {}.", ec.message()), "malformed_http");
}

ApiError too_slow(std::string_view part) {
  return refusal(408, fmt::format("The request's {} did not arrive in time.", part), "request_timeout");
}

}  // namespace

asio::awaitable<std::optional<ApiError>> HttpConnection::read_header(Parser& parser) {
  auto deadline = request_.received + core_->options.header_timeout;
  for (;;) {
    if (!in_.empty()) {
      error_code ec;
      std::size_t n = parser.put(asio::buffer(in_), ec);
      in_.erase(0, n);
      space_.notify();
      if (ec && ec != http::error::need_more) co_return parse_refusal(ec, core_->options);
      if (parser.is_header_done()) co_return std::nullopt;
    }
    Fill f = co_await fill(deadline);
    if (f == Fill::end) close();  // the client gave up: nobody to answer
    if (f == Fill::end) co_return refusal(400, "The connection ended inside a request.", "malformed_http");
    if (f == Fill::timeout) {
      ++core_->stats.read_timeouts;
      co_return too_slow("header");
    }
  }
}

asio::awaitable<std::optional<ApiError>> HttpConnection::read_body(Parser& parser) {
  parser.eager(true);
  parser.body_limit(core_->options.max_body_bytes);
  auto deadline = std::chrono::steady_clock::now() + core_->options.body_timeout;
  while (!parser.is_done()) {
    if (!in_.empty()) {
      error_code ec;
      std::size_t n = parser.put(asio::buffer(in_), ec);
      in_.erase(0, n);
      space_.notify();
      if (ec && ec != http::error::need_more) co_return parse_refusal(ec, core_->options);
      if (parser.is_done()) break;
      if (n > 0 && !in_.empty()) continue;
    }
    Fill f = co_await fill(deadline);
    if (f == Fill::end) close();
    if (f == Fill::end) co_return refusal(400, "The connection ended inside a request.", "malformed_http");
    if (f == Fill::timeout) {
      ++core_->stats.read_timeouts;
      co_return too_slow("body");
    }
  }
  request_.body = std::move(parser.get().body());
  co_return std::nullopt;
}

std::optional<ApiError> HttpConnection::take_head(const Parser& parser) {
  const auto& m = parser.get();
  keep_alive_ = parser.keep_alive();
  http10_ = m.version() == 10;
  for (const auto& f : m) request_.headers.add(std::string(f.name_string()), std::string(f.value()));
  request_.method = std::string(m.method_string());
  head_only_ = request_.method == "HEAD";
  if (auto id = request_.headers.find("x-request-id")) request_.request_id = sanitize_request_id(*id);
  if (request_.request_id.empty()) request_.request_id = generate_request_id();
  record_.method = request_.method;
  record_.request_id = request_.request_id;
  origin_ = core_->allowed_origin(request_.headers);

  if (m.version() != 10 && m.version() != 11)
    return refusal(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.", "bad_version");
  if (!http10_ && m.count(http::field::host) != 1)
    return refusal(400, "An HTTP/1.1 request needs exactly one Host header.", "malformed_http");
  std::string_view target(m.target().data(), m.target().size());
  if (target.starts_with("http://")) {  // absolute-form, as sent to proxies
    auto slash = target.find('/', 7);
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  if (!target.starts_with('/') && target != "*")
    return refusal(400, "The request target must be a path.", "malformed_http");
  auto question = target.find('?');
  request_.path = target.substr(0, question);
  if (question != std::string_view::npos) request_.query = target.substr(question + 1);
  return std::nullopt;
}

std::optional<ApiError> HttpConnection::check_framing(const Parser& parser) const {
  if (auto length = parser.content_length(); length && *length > core_->options.max_body_bytes)
    return parse_refusal(http::make_error_code(http::error::body_limit), core_->options);
  if (auto expect = request_.headers.find("expect"); expect && !equals_ignore_case(*expect, "100-continue"))
    return refusal(417, "The only expectation supported is 100-continue.", "expectation_failed");
  return std::nullopt;
}

std::optional<ApiError> HttpConnection::check_request(const Parser& parser, const HttpRoutes::Match& match) {
  if (!match.open && !core_->authorized(request_.headers)) {
    auto e = refusal(401, "Give a valid API key in the Authorization header: Bearer KEY.", "invalid_api_key");
    e.type = "authentication_error";
    return e;
  }
  if (match.allow.empty()) return refusal(404, fmt::format("There is no {} here.", request_.path), "unknown_path");
  if (!match.handler)
    return refusal(405, fmt::format("{} does not answer {}.", match.route, request_.method), "method_not_allowed");
  return check_framing(parser);
}

// ---- One request after another ----

asio::awaitable<void> HttpConnection::serve() {
  bool more = true;
  while (more && socket_.is_open()) {
    more = co_await serve_one();
    first_request_ = false;
  }
  idle_ = true;
  if (socket_.is_open() && !eof_) co_await linger();
  close();
}

asio::awaitable<bool> HttpConnection::serve_one() {
  idle_ = true;
  if (!co_await await_first_byte()) co_return false;
  idle_ = false;
  request_ = {};
  request_.peer = peer_;
  request_.received = started_ = std::chrono::steady_clock::now();
  record_ = {};
  record_.route = "-";
  record_.peer = peer_;
  origin_.reset();
  keep_alive_ = false;  // until the header says otherwise
  head_only_ = http10_ = false;
  ++core_->stats.requests;

  Parser parser;
  parser.header_limit(static_cast<std::uint32_t>(core_->options.max_header_bytes));
  parser.body_limit(boost::none);  // read_body sets it: a missing key or route is worth more than a 413
  if (auto e = co_await read_header(parser)) co_return co_await refuse(*e, {});
  if (auto e = take_head(parser)) {
    keep_alive_ = false;
    co_return co_await refuse(*e, {});
  }
  if (!parser.is_done() && request_.method == "OPTIONS") keep_alive_ = false;  // its body stays unread
  auto match = core_->routes.find(request_.method, request_.path);
  if (!match.route.empty()) record_.route = match.route;
  if (request_.method == "OPTIONS" && (request_.path == "*" || !match.allow.empty())) {
    begin_exchange();
    send_response(options_response(match));
    co_await flush();
    end_exchange();
    co_return keep_alive_;
  }
  if (auto e = check_request(parser, match)) {
    if (!parser.is_done()) keep_alive_ = false;  // its body stays unread
    HttpHeaders extra;
    if (e->status == 405) extra.add("allow", match.allow);
    co_return co_await refuse(*e, std::move(extra));
  }
  if (!parser.is_done() && in_.empty() && !http10_ && request_.headers.find("expect")) {
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    co_await flush();
  }
  if (auto e = co_await read_body(parser)) {
    keep_alive_ = false;
    co_return co_await refuse(*e, {});
  }
  request_.rest = std::move(match.rest);
  if (head_only_) request_.method = "GET";
  co_await answer(*match.handler);
  co_return keep_alive_ && !core_->draining;
}

asio::awaitable<bool> HttpConnection::refuse(ApiError error, HttpHeaders extra) {
  if (!socket_.is_open()) co_return false;
  ++core_->stats.bad_requests;
  if (request_.request_id.empty()) request_.request_id = record_.request_id = generate_request_id();
  HttpResponse r = error_response(error);
  for (const auto& [n, v] : extra) r.headers.add(n, v);
  begin_exchange();
  send_response(r);
  co_await flush();
  end_exchange();
  co_return keep_alive_;
}

asio::awaitable<void> HttpConnection::answer(const HttpHandler& handler) {
  begin_exchange();
  dispatched_ = true;
  {
    auto ex = std::make_shared<Exchange>(weak_from_this());
    exchange_ = ex;
    try {
      handler(std::move(request_), ex);
    } catch (const std::exception& e) {
      log::error("http handler threw",
                 {{"route", record_.route}, {"request_id", record_.request_id}, {"what", e.what()}});
      // A stream that had begun is cut when the handler's last reference goes.
      ex->respond(
          error_response({500, "The server failed to handle the request.", "server_error", {}, "internal", {}}));
    }
  }
  while (socket_.is_open()) {
    if (!out_.empty()) {
      co_await flush();
      continue;
    }
    if (!exchange_open_) break;
    if (eof_) {
      cut(Disconnect::client_closed);
      break;
    }
    co_await wake_.wait();
  }
  dispatched_ = false;
  end_exchange();
}

void HttpConnection::begin_exchange() {
  exchange_open_ = true;
  ++core_->stats.active;
}

void HttpConnection::end_exchange() {
  exchange_open_ = false;
  exchange_.reset();
  --core_->stats.active;
  record_.duration = std::chrono::steady_clock::now() - started_;
  if (core_->observer) core_->observer(record_);
}

HttpResponse HttpConnection::options_response(const HttpRoutes::Match& match) const {
  HttpResponse r{204, {{"allow", match.allow.empty() ? "GET, HEAD, POST, OPTIONS" : match.allow}}, {}};
  if (origin_) {
    r.headers.add("access-control-allow-methods", match.allow);
    r.headers.add("access-control-allow-headers",
                  "authorization, content-type, x-request-id, x-slo-class, x-slo-ttft-ms, x-slo-tpot-ms");
    r.headers.add("access-control-max-age", "600");
  }
  return r;
}

asio::awaitable<void> HttpConnection::linger() {
  // Closing with unread input makes the kernel reset the connection, which can destroy the answer on its way.
  discard_ = true;
  in_.clear();
  space_.notify();
  error_code ec;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ec);
  auto deadline = std::chrono::steady_clock::now() + core_->options.linger_timeout;
  while (!eof_ && socket_.is_open() && co_await data_.wait(deadline)) {
  }
}

// ---- Writing ----

void HttpConnection::append_head(int status, const HttpHeaders& headers, std::optional<std::size_t> content_length) {
  if (core_->draining) keep_alive_ = false;
  auto field = [this](std::string_view name, std::string_view value) {
    out_ += name;
    out_ += ": ";
    for (char c : value)
      if (c != '\r' && c != '\n' && c != '\0') out_ += c;  // a value can't start a header of its own
    out_ += "\r\n";
  };
  auto known = http::int_to_status(static_cast<unsigned>(status));
  auto reason = known == http::status::unknown ? boost::beast::string_view("Other") : http::obsolete_reason(known);
  out_ += fmt::format("HTTP/1.1 {} {}\r\n", status, std::string_view(reason.data(), reason.size()));
  for (const auto& [n, v] : headers) field(n, v);
  field("x-request-id", record_.request_id);
  if (origin_) {
    field("access-control-allow-origin", *origin_);
    field("access-control-expose-headers", "x-request-id, retry-after");
    field("vary", "origin");
  }
  if (content_length && status != 204) field("content-length", std::to_string(*content_length));
  if (!content_length && chunked_) field("transfer-encoding", "chunked");
  if (!keep_alive_)
    field("connection", "close");
  else if (http10_)
    field("connection", "keep-alive");
  out_ += "\r\n";
  record_.status = status;
}

void HttpConnection::send_response(const HttpResponse& response) {
  append_head(response.status, response.headers, response.body.size());
  if (!head_only_) out_ += response.body;
  exchange_open_ = false;
  wake_.notify();
}

void HttpConnection::send_stream_head(int status, const HttpHeaders& headers) {
  chunked_ = !http10_;
  if (!chunked_) keep_alive_ = false;  // the close ends the body
  append_head(status, headers, std::nullopt);
  wake_.notify();
}

void HttpConnection::send_chunk(std::string_view bytes) {
  if (bytes.empty() || head_only_) return;
  // The backlog before this piece counts: one large piece alone is no sign of a slow reader.
  if (out_.size() + writing_left_ > core_->options.max_buffered_bytes) return cut(Disconnect::slow_reader);
  if (chunked_) out_ += fmt::format("{:x}\r\n", bytes.size());
  out_ += bytes;
  if (chunked_) out_ += "\r\n";
  wake_.notify();
}

void HttpConnection::send_stream_end() {
  if (chunked_ && !head_only_) out_ += "0\r\n\r\n";
  exchange_open_ = false;
  wake_.notify();
}

void HttpConnection::abandoned(bool streaming) {
  log::error("http handler dropped its answer", {{"route", record_.route}, {"request_id", record_.request_id}});
  if (!streaming)
    return send_response(
        error_response({500, "The server failed to answer the request.", "server_error", {}, "internal", {}}));
  exchange_open_ = false;
  out_.clear();
  close();
}

asio::awaitable<void> HttpConnection::flush() {
  while (!out_.empty() && socket_.is_open()) {
    writing_.clear();
    writing_.swap(out_);
    writing_left_ = writing_.size();
    while (writing_left_ > 0) {
      stall_.expires_after(core_->options.write_timeout);
      stall_.async_wait([weak = weak_from_this()](error_code ec) {
        auto self = weak.lock();
        if (ec || !self || self->writing_left_ == 0 || self->stall_.expiry() > std::chrono::steady_clock::now()) return;
        self->lost(Disconnect::slow_reader);
      });
      error_code ec;
      std::size_t n = co_await socket_.async_write_some(
          asio::buffer(writing_.data() + writing_.size() - writing_left_, writing_left_),
          asio::redirect_error(asio::use_awaitable, ec));
      stall_.cancel();
      if (ec) {
        writing_left_ = 0;
        if (socket_.is_open()) lost(Disconnect::client_closed);
        co_return;
      }
      core_->stats.bytes_out += n;
      writing_left_ -= n;
    }
  }
}

}  // namespace sluice::coordinator
