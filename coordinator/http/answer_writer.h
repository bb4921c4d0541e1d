#pragma once
// Internal to the HTTP server: an answer's way to the client. Handlers queue bytes at any time; the connection
// writes them at once where the socket takes them (write_now), and one of its coroutines flushes the rest. What a slow
// reader leaves queued is bounded, and so is the time of one write. Threading: the server's io_context thread. The
// bytes under way are a member, so they outlive the write.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/tls/stream.h"
#include "coordinator/http/request_traits.h"
#include "coordinator/http/server.h"

namespace sluice::coordinator {

/// What stands in every answer to one request.
struct AnswerTraits {
  RequestTraits request;
  std::string_view request_id;
  std::string_view request_id_header;        // a second name for it; empty: none
  const std::optional<std::string>& origin;  // CORS: the origin to allow
  std::string_view date;
};

class AnswerWriter {
 public:
  /// `stalled` is called when a write took longer than it may.
  AnswerWriter(tls::Stream& stream, const HttpServerOptions& options, HttpServerStats& stats,
               std::function<void()> stalled);

  /// A whole answer.
  void response(const HttpResponse& response, const AnswerTraits& traits);
  /// The head of one that comes in pieces.
  void stream_head(int status, const HttpHeaders& headers, const AnswerTraits& traits);
  /// False: the client is so far behind that this piece finds no room.
  [[nodiscard]] bool piece(std::string_view bytes);
  void stream_end();
  void interim_continue() { queued_ += "HTTP/1.1 100 Continue\r\n\r\n"; }

  [[nodiscard]] bool empty() const noexcept { return queued_.empty(); }
  void drop() { queued_.clear(); }
  void cancel_timer() { stall_.cancel(); }

  /// The connection this is a member of, once it is shared: a timer must not outlive it.
  void belong_to(std::weak_ptr<void> owner) { owner_ = std::move(owner); }
  /// Writes what is queued if that can be done without waiting. False: flush() has to, or has to find out why not.
  [[nodiscard]] bool write_now();
  /// Writes until nothing is queued. False: the client went.
  boost::asio::awaitable<bool> flush();

 private:
  void head(int status, const HttpHeaders& headers, std::optional<std::size_t> length, const AnswerTraits& traits);
  void field(std::string_view name, std::string_view value);
  boost::asio::awaitable<bool> write_all();
  /// Sees to it that the write about to begin does not take for ever.
  void watch();

  tls::Stream& stream_;
  const HttpServerOptions& options_;
  HttpServerStats& stats_;
  std::function<void()> stalled_;
  std::weak_ptr<void> owner_;
  boost::asio::steady_timer stall_;
  std::string queued_;
  std::string writing_;    // owned by the outstanding write
  std::size_t left_ = 0;   // of writing_
  bool flushing_ = false;  // a flush() is under way
  bool chunked_ = false;
  bool bodyless_ = false;  // an answer to HEAD
};

}  // namespace sluice::coordinator
