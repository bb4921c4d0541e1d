#pragma once
// Internal to the HTTP server: one client connection.
//
// Two coroutines share it. read_side() always has a read outstanding, so a client that goes away is noticed at
// once, also while an answer streams; it appends to `in_` up to a bound. serve() parses requests from `in_`, calls
// handlers and writes `out_`. An Exchange is the answer in progress; its handler may answer now or later.
// Ownership: each coroutine holds a shared_ptr to the connection; handlers hold the Exchange, which holds the
// connection weakly; the connection holds the Exchange weakly. Buffers handed to async operations (read_chunk_,
// writing_) are members, so they outlive the operation.
#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "coordinator/http/server_core.h"

namespace sluice::coordinator {

class HttpConnection;

/// The answer to one request, as its handler sees it.
class Exchange final : public Responder, public StreamWriter, public std::enable_shared_from_this<Exchange> {
 public:
  explicit Exchange(std::weak_ptr<HttpConnection> connection) : connection_(std::move(connection)) {}
  ~Exchange() override;

  void respond(HttpResponse response) override;
  std::shared_ptr<StreamWriter> begin_stream(int status, HttpHeaders headers) override;
  void on_disconnect(std::function<void(Disconnect)> gone) override;
  void write(std::string_view bytes) override;
  void finish() override;
  [[nodiscard]] bool closed() const override { return state_ == State::done || cut_.has_value(); }

  [[nodiscard]] bool done() const { return state_ == State::done; }
  [[nodiscard]] bool streaming() const { return state_ == State::streaming; }
  /// The client can't be answered any more; tells the handler.
  void cut(Disconnect why);

 private:
  enum class State { waiting, streaming, done };
  void complete();

  std::weak_ptr<HttpConnection> connection_;
  State state_ = State::waiting;
  std::optional<Disconnect> cut_;
  std::function<void(Disconnect)> gone_;
};

class HttpConnection final : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(boost::asio::ip::tcp::socket socket, std::shared_ptr<HttpServerCore> core);
  ~HttpConnection();

  void start();
  /// A drain begins: close now if kept alive without a request; one with a request holds the drain until it is over.
  void drain();
  /// The drain is over: close unless an answer is on its way.
  void end_soon();
  void cut(Disconnect why);
  void post(std::function<void()> f);

  // For Exchange: queue bytes of the answer.
  void send_response(const HttpResponse& response);
  void send_stream_head(int status, const HttpHeaders& headers);
  void send_chunk(std::string_view bytes);
  void send_stream_end();
  void abandoned(bool streaming);

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  enum class Fill { data, end, timeout };

  boost::asio::awaitable<void> read_side();
  boost::asio::awaitable<void> serve();
  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<bool> await_first_byte();
  boost::asio::awaitable<std::optional<ApiError>> read_header(Parser& parser);
  boost::asio::awaitable<std::optional<ApiError>> read_body(Parser& parser);
  boost::asio::awaitable<Fill> fill(TimePoint deadline);
  boost::asio::awaitable<void> answer(const HttpHandler& handler);
  boost::asio::awaitable<void> flush();
  boost::asio::awaitable<void> linger();

  std::optional<ApiError> take_head(const Parser& parser);
  std::optional<ApiError> check_request(const Parser& parser, const HttpRoutes::Match& match);
  std::optional<ApiError> check_framing(const Parser& parser) const;
  [[nodiscard]] HttpResponse options_response(const HttpRoutes::Match& match) const;
  boost::asio::awaitable<bool> refuse(ApiError error, HttpHeaders extra);
  void append_head(int status, const HttpHeaders& headers, std::optional<std::size_t> content_length);
  void begin_exchange();
  void end_exchange();
  void lost(Disconnect why);
  void close();

  std::shared_ptr<HttpServerCore> core_;
  boost::asio::ip::tcp::socket socket_;
  std::string peer_;

  // Read side.
  std::array<char, 16 * 1024> read_chunk_;  // owned by the outstanding read
  std::string in_;                          // received, not yet parsed
  std::size_t in_cap_;
  bool eof_ = false;
  bool discard_ = false;  // lingering: what still comes is thrown away
  Signal data_;           // in_ grew, or eof_
  Signal space_;          // in_ shrank

  // The request being read or answered.
  HttpRequest request_;
  TimePoint started_;
  bool head_only_ = false;  // HEAD: no body in the answer
  bool http10_ = false;
  bool keep_alive_ = true;
  bool idle_ = true;  // between requests
  bool first_request_ = true;
  bool held_ = false;                  // counted in core_->held
  bool dispatched_ = false;            // a handler owns the exchange
  std::optional<std::string> origin_;  // CORS: the origin to allow
  std::weak_ptr<Exchange> exchange_;
  bool exchange_open_ = false;  // a request's answer is not complete
  HttpExchange record_;

  // Write side.
  std::string out_;      // queued
  std::string writing_;  // owned by the outstanding write
  std::size_t writing_left_ = 0;
  bool chunked_ = false;
  Signal wake_;  // out_ grew, the exchange ended, or the client went
  boost::asio::steady_timer stall_;
};

}  // namespace sluice::coordinator
