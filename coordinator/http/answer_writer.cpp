#include "coordinator/http/answer_writer.h"

#include <fmt/format.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/status.hpp>
#include <iterator>
#include <utility>

namespace sluice::coordinator {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

AnswerWriter::AnswerWriter(tls::Stream& stream, const HttpServerOptions& options, HttpServerStats& stats,
                           std::function<void()> stalled)
    : stream_(stream), options_(options), stats_(stats), stalled_(std::move(stalled)), stall_(stream.get_executor()) {}

void AnswerWriter::field(std::string_view name, std::string_view value) {
  queued_ += name;
  queued_ += ": ";
  for (char c : value)
    if (c != '\r' && c != '\n' && c != '\0') queued_ += c;  // a value can't start a header of its own
  queued_ += "\r\n";
}

void AnswerWriter::head(int status, const HttpHeaders& headers, std::optional<std::size_t> length,
                        const AnswerTraits& traits) {
  auto known = http::int_to_status(static_cast<unsigned>(status));
  auto reason = known == http::status::unknown ? boost::beast::string_view("Other") : http::obsolete_reason(known);
  queued_ += fmt::format("HTTP/1.1 {} {}\r\n", status, std::string_view(reason.data(), reason.size()));
  for (const auto& [n, v] : headers) field(n, v);
  field("date", traits.date);
  field("x-request-id", traits.request_id);
  if (!traits.request_id_header.empty()) field(traits.request_id_header, traits.request_id);
  if (traits.origin) {
    field("access-control-allow-origin", *traits.origin);
    field("access-control-expose-headers", "x-request-id, request-id, retry-after, traceparent");
    field("vary", "origin");
  }
  if (length && status != 204 && status != 304) field("content-length", std::to_string(*length));
  if (!length && chunked_) field("transfer-encoding", "chunked");
  if (!traits.request.keep_alive)
    field("connection", "close");
  else if (traits.request.http10)
    field("connection", "keep-alive");
  queued_ += "\r\n";
}

void AnswerWriter::response(const HttpResponse& response, const AnswerTraits& traits) {
  head(response.status, response.headers, response.body.size(), traits);
  if (!traits.request.head_only) queued_ += response.body;
}

void AnswerWriter::stream_head(int status, const HttpHeaders& headers, const AnswerTraits& traits) {
  chunked_ = !traits.request.http10;
  bodyless_ = traits.request.head_only;
  head(status, headers, std::nullopt, traits);
}

bool AnswerWriter::piece(std::string_view bytes) {
  if (bytes.empty() || bodyless_) return true;
  // The backlog before this piece counts: one large piece alone is no sign of a slow reader.
  if (queued_.size() + left_ > options_.max_buffered_bytes) return false;
  if (chunked_) fmt::format_to(std::back_inserter(queued_), "{:x}\r\n", bytes.size());
  queued_ += bytes;
  if (chunked_) queued_ += "\r\n";
  return true;
}

void AnswerWriter::stream_end() {
  if (chunked_ && !bodyless_) queued_ += "0\r\n\r\n";
}

void AnswerWriter::watch() {
  stall_.expires_after(options_.write_timeout);
  stall_.async_wait([this, owner = owner_](error_code ec) {
    const auto alive = owner.lock();
    if (ec || !alive || left_ == 0 || stall_.expiry() > std::chrono::steady_clock::now()) return;
    stalled_();
  });
}

bool AnswerWriter::write_now() {
  if (queued_.empty()) return true;
  if (flushing_ || stream_.secure())
    return flushing_;  // a flush takes what was queued meanwhile; TLS has its own turns
  error_code ec;
  const std::size_t n = stream_.socket().send(asio::buffer(queued_), 0, ec);
  if (ec) return false;
  stats_.bytes_out += n;
  queued_.erase(0, n);
  return queued_.empty();
}

asio::awaitable<bool> AnswerWriter::flush() {
  flushing_ = true;
  const bool sent = co_await write_all();
  flushing_ = false;
  co_return sent;
}

asio::awaitable<bool> AnswerWriter::write_all() {
  while (!queued_.empty() && stream_.is_open()) {
    writing_.clear();
    writing_.swap(queued_);
    left_ = writing_.size();
    while (left_ > 0) {
      watch();
      error_code ec;
      std::size_t n = co_await stream_.async_write_some(asio::buffer(writing_.data() + writing_.size() - left_, left_),
                                                        asio::redirect_error(asio::use_awaitable, ec));
      stall_.cancel();
      if (ec) {
        left_ = 0;
        co_return false;
      }
      stats_.bytes_out += n;
      left_ -= n;
    }
  }
  co_return true;
}

}  // namespace sluice::coordinator
