#pragma once
// Internal to the HTTP server: one client connection, from its first byte to its close.
//
// Two coroutines share it. One keeps the inbox reading, so that a client's end is noticed at once; the other, serve(),
// takes one request after another: RequestReader reads it (BodyReader its body), the routes find its handler, the
// handler answers through an Exchange, now or later, and AnswerWriter sends that, while AnswerWatch says what to do
// about silence. Whenever it does not answer, its seat is at the EvictionQueue's disposal. Ownership: each coroutine
// holds a shared_ptr to the connection; handlers hold the Exchange, which holds the connection weakly; the connection
// holds the Exchange weakly. Inbox and writer are members: they outlive what they started on the stream. With TLS a
// handshake comes first, in the time that a request's header has; until it is over the seat is as any that waits.
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/tls/stream.h"
#include "coordinator/http/answer_watch.h"
#include "coordinator/http/answer_writer.h"
#include "coordinator/http/exchange.h"
#include "coordinator/http/inbox.h"
#include "coordinator/http/request_traits.h"
#include "coordinator/http/server_core.h"

namespace sluice::coordinator {

class RequestReader;

class HttpConnection final : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(tls::Stream stream, std::shared_ptr<HttpServerCore> core, SeatCount::Seat counted);
  ~HttpConnection();

  void start();
  /// A drain begins: close now if kept alive without a request; one with a request holds the drain until it is over.
  void drain();
  /// The drain is over: close unless an answer is on its way.
  void end_soon();
  void cut(Disconnect why);
  /// Closes it to make room: no request of it is being answered.
  void evict();
  void post(std::function<void()> f);

  // For Exchange: queue bytes of the answer.
  void send_response(const HttpResponse& response);
  void send_stream_head(int status, const HttpHeaders& headers);
  void send_chunk(std::string_view bytes);
  void send_stream_end();
  void keep_alive(std::string comment, std::function<void()> begin);
  void abandoned(bool streaming);

  /// For HttpServerCore: the thread has done what woke it up, and this connection has something to write since.
  void write_queued();

 private:
  boost::asio::awaitable<bool> shake_hands();
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> read_side();
  boost::asio::awaitable<void> serve();
  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<bool> await_first_byte();
  boost::asio::awaitable<bool> refuse(ApiError error, HttpHeaders extra);
  boost::asio::awaitable<void> answer(const HttpHandler& handler);
  boost::asio::awaitable<void> flush();
  boost::asio::awaitable<void> linger();

  /// Has what is queued written once the thread has done what it is at: several tokens of one wake-up are one write.
  void write_soon();
  void give_up_seat();
  void begin_request();
  void handle(const HttpHandler& handler);
  [[nodiscard]] std::optional<ApiError> check_request(RequestReader& reader, const HttpRoutes::Match& match);
  [[nodiscard]] AnswerTraits answer_traits() const {
    return {traits_, record_.request_id, request_id_header_, origin_, core_->date.now()};
  }
  /// The client has sent its last request.
  [[nodiscard]] bool nothing_follows() const { return in_.ended() && in_.bytes().empty(); }
  /// Whether something can be said that is no part of the answer.
  [[nodiscard]] bool can_probe() const;
  /// Does what a silent answer has to do now; says when to ask again.
  [[nodiscard]] TimePoint tend();
  void break_silence();
  void begin_exchange();
  void end_exchange();
  void lost(Disconnect why);
  void close();

  std::shared_ptr<HttpServerCore> core_;
  tls::Stream stream_;
  std::string peer_;
  EvictionQueue::Seat seat_;
  SeatCount::Seat counted_;  // while the socket is open
  Inbox in_;
  AnswerWriter out_;
  Signal wake_;  // bytes were queued, the exchange ended, the client went, or a place became free

  // The request being read or answered.
  HttpRequest request_;
  RequestTraits traits_;
  TimePoint started_;
  std::optional<std::string> origin_;   // CORS: the origin to allow
  ErrorBody errors_ = nullptr;          // of its route
  std::string_view request_id_header_;  // of its route
  std::weak_ptr<Exchange> exchange_;
  HttpExchange record_;
  std::optional<AnswerWatch> watch_;
  std::string comment_;                 // that a stream's readers skip; empty: there is none
  std::function<void()> begin_stream_;  // for a comment that comes before the handler's first event
  bool streaming_ = false;              // the answer is a stream and has begun

  bool idle_ = true;        // between requests
  bool write_due_ = false;  // write_soon() was asked for
  bool first_request_ = true;
  bool cut_ = false;            // not all was said: the close must not look like an end
  bool held_ = false;           // counted in core_->held
  bool dispatched_ = false;     // a handler owns the exchange
  bool exchange_open_ = false;  // a request's answer is not complete
};

}  // namespace sluice::coordinator
