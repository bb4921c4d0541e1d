#include "coordinator/http/request_reader.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <memory>

#include "common/utf8.h"

namespace sluice::coordinator {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr std::size_t kMaxShown = 64;  // bytes of a client's word in an error

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

ApiError refusal(int status, std::string message, std::string code) {
  return {status, std::move(message), status >= 500 ? "server_error" : "invalid_request_error",
          {},     std::move(code),    std::nullopt};
}

RequestReader::RequestReader(Inbox& in, const HttpServerOptions& options, HttpServerStats& stats)
    : in_(in), options_(options), stats_(stats) {
  parser_.header_limit(static_cast<std::uint32_t>(options.max_header_bytes));
  parser_.body_limit(boost::none);  // check_framing() sets it: a missing key or route is worth more than a 413
}

bool RequestReader::has(Part part) const {
  if (part == Part::header) return parser_.is_header_done();
  return parser_.is_done() || (part == Part::some_body && parser_.get().body().size() >= some_);
}

asio::awaitable<std::optional<ApiError>> RequestReader::feed(Part part, TimePoint deadline) {
  while (!has(part)) {
    if (!in_.bytes().empty()) {
      error_code ec;
      std::size_t n = parser_.put(asio::buffer(in_.bytes()), ec);
      in_.consume(n);
      if (ec && ec != http::error::need_more) co_return parse_refusal(ec, options_);
      if (has(part)) break;
      if (n > 0 && !in_.bytes().empty()) continue;
    }
    auto more = co_await in_.more(deadline);
    if (more == Inbox::More::end) {
      given_up_ = true;
      co_return refusal(400, "The connection ended inside a request.", "malformed_http");
    }
    if (more == Inbox::More::timeout) {
      ++stats_.read_timeouts;
      co_return too_slow(part == Part::header ? "header" : "body");
    }
  }
  co_return std::nullopt;
}

asio::awaitable<std::optional<ApiError>> RequestReader::head(TimePoint received) {
  in_.await_head();
  auto error = co_await feed(Part::header, received + options_.header_timeout);
  in_.head_came();
  co_return error;
}

asio::awaitable<std::optional<ApiError>> RequestReader::begin_body(std::size_t bytes) {
  some_ = bytes;
  return feed(Part::some_body, std::chrono::steady_clock::now() + options_.body_timeout);
}

std::size_t RequestReader::most_bytes() const {
  constexpr std::size_t kMostDeflated = 1032;  // to one, zlib's documentation
  const auto length = parser_.content_length();
  if (!length) return options_.max_body_bytes;
  const auto sent = static_cast<std::size_t>(std::min<std::uint64_t>(*length, options_.max_body_bytes));
  if (coding_ == ContentCoding::identity) return sent;
  return std::min(sent * kMostDeflated, options_.max_body_bytes);
}

asio::awaitable<std::optional<ApiError>> RequestReader::body(HttpRequest& request) {
  auto deadline = std::chrono::steady_clock::now() + options_.body_timeout;
  auto error = co_await feed(Part::body, deadline);
  if (error) co_return error;
  request.body = std::move(parser_.get().body());
  if (coding_ == ContentCoding::identity) co_return std::nullopt;
  co_return co_await decode(request.body);
}

asio::awaitable<std::optional<ApiError>> RequestReader::decode(std::string& body) const {
  const auto executor = co_await asio::this_coro::executor;
  const auto inflater = std::make_unique<BodyInflater>(coding_, body, options_.max_body_bytes);
  for (;;) {
    const auto over = inflater->step();
    if (!over) co_return over.error();
    if (*over) break;
    co_await asio::post(executor, asio::use_awaitable);  // it is everybody's thread
  }
  body = inflater->take();
  co_return std::nullopt;
}

std::optional<ApiError> RequestReader::take_head(HttpRequest& request, RequestTraits& traits) const {
  const auto& m = parser_.get();
  traits.keep_alive = parser_.keep_alive();
  traits.http10 = m.version() == 10;
  for (const auto& f : m) request.headers.add(std::string(f.name_string()), std::string(f.value()));
  request.method = std::string(m.method_string());
  traits.head_only = request.method == "HEAD";
  if (auto id = request.headers.find("x-request-id")) request.request_id = sanitize_request_id(*id);
  if (request.request_id.empty()) request.request_id = generate_request_id();

  if (m.version() != 10 && m.version() != 11)
    return refusal(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.", "bad_version");
  if (!traits.http10 && m.count(http::field::host) != 1)
    return refusal(400, "An HTTP/1.1 request needs exactly one Host header.", "malformed_http");
  // Of any other coding this server cannot tell where the body ends: what is left of it would be read as the next
  // request (RFC 9112, section 6.3).
  if (const auto codings = m.count(http::field::transfer_encoding); codings > 0)
    if (codings > 1 || !equals_ignore_case(std::string_view(m[http::field::transfer_encoding]), "chunked"))
      return refusal(501, "The only Transfer-Encoding supported is chunked.", "unsupported_transfer_encoding");
  std::string_view target(m.target().data(), m.target().size());
  if (target.starts_with("http://")) {  // absolute-form, as sent to proxies
    auto slash = target.find('/', 7);
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  if (!target.starts_with('/') && target != "*")
    return refusal(400, "The request target must be a path.", "malformed_http");
  auto question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
  return std::nullopt;
}

std::optional<ApiError> RequestReader::check_framing(const HttpRequest& request) {
  if (auto length = parser_.content_length(); length && *length > options_.max_body_bytes)
    return parse_refusal(http::make_error_code(http::error::body_limit), options_);
  if (auto expect = request.headers.find("expect"); expect && !equals_ignore_case(*expect, "100-continue"))
    return refusal(417, "The only expectation supported is 100-continue.", "expectation_failed");
  if (complete()) return std::nullopt;  // no body, or an empty one, has no coding
  std::string codings;
  for (const auto& [name, value] : request.headers)
    if (equals_ignore_case(name, "content-encoding")) codings += value + ",";
  const auto coding = content_coding(codings);
  if (!coding)
    return refusal(
        415,
        fmt::format("The body's Content-Encoding '{}' is not one of {}.",
                    clip_utf8(std::string_view(codings).substr(0, codings.size() - 1), kMaxShown), kContentCodings),
        "unsupported_content_encoding");
  coding_ = *coding;
  parser_.eager(true);
  parser_.body_limit(options_.max_body_bytes);
  return std::nullopt;
}

}  // namespace sluice::coordinator
