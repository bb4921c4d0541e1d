#pragma once
// Internal to the HTTP server: reads one request from a connection's inbox, head first, then body, each within its
// bounds of bytes and time. Between the two the connection decides whether the body is worth reading.
// Threading: a coroutine of the connection. Failure: an ApiError that the client is answered with; after it the
// connection can't be kept, since where the next request begins is not known.
#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/http/body_inflater.h"
#include "coordinator/http/inbox.h"
#include "coordinator/http/request_traits.h"

namespace sluice::coordinator {

[[nodiscard]] ApiError refusal(int status, std::string message, std::string code);

class RequestReader {
 public:
  RequestReader(Inbox& in, const HttpServerOptions& options, HttpServerStats& stats);

  /// Into the request: all but its body. `received`: when its first byte came.
  boost::asio::awaitable<std::optional<ApiError>> head(TimePoint received);
  /// What the head says, as far as it can be trusted: fills the request also where it is refused.
  [[nodiscard]] std::optional<ApiError> take_head(HttpRequest& request, RequestTraits& traits) const;
  /// Refuses, before it is read, a body that is too large, in a coding or with a demand that is not known.
  [[nodiscard]] std::optional<ApiError> check_framing(const HttpRequest& request);
  /// Nothing of the request is left to read.
  [[nodiscard]] bool complete() const { return parser_.is_done(); }
  /// Reads up to `bytes` of a body, or what there is.
  boost::asio::awaitable<std::optional<ApiError>> begin_body(std::size_t bytes);
  /// It says how many bytes it will send.
  [[nodiscard]] bool sized() const { return parser_.content_length().has_value(); }
  /// What the whole body may come to, as far as is known.
  [[nodiscard]] std::size_t most_bytes() const;
  /// Decoded, if it came in a coding.
  boost::asio::awaitable<std::optional<ApiError>> body(HttpRequest& request);
  /// The client ended inside its request: there is nobody to answer.
  [[nodiscard]] bool given_up() const noexcept { return given_up_; }

 private:
  enum class Part { header, some_body, body };
  [[nodiscard]] bool has(Part part) const;
  /// Feeds the parser until it has the part, an error, or the deadline.
  boost::asio::awaitable<std::optional<ApiError>> feed(Part part, TimePoint deadline);
  boost::asio::awaitable<std::optional<ApiError>> decode(std::string& body) const;

  Inbox& in_;
  const HttpServerOptions& options_;
  HttpServerStats& stats_;
  boost::beast::http::request_parser<boost::beast::http::string_body> parser_;
  ContentCoding coding_ = ContentCoding::identity;
  std::size_t some_ = 0;  // bytes of body that are enough for now
  bool given_up_ = false;
};

}  // namespace sluice::coordinator
