#pragma once
// A TCP connection that is plain or speaks TLS: one type for everybody who reads and writes, so that nothing is written
// twice. It meets Asio's requirements of a stream: async_read, async_write and coroutines work on it.
//
// Life: made of a connected socket; with TLS, async_handshake() first and nothing before it; then one read and one
// write at a time, both may be outstanding; close() at any time, which completes what is outstanding with an error. The
// buffers of an operation stay valid until its handler has run; the stream itself need not.
// Ends: the peer's close_notify, and an end of TCP without one, read as eof: HTTP and the control plane frame their
// messages, and find out themselves what is missing.
// Threading: the socket's io_context thread, where handlers run. The costly steps of a handshake run on Workers if
// given, so that nobody's handshake delays anybody else.
// Failure: an error_code, and problem() in words where TLS is at fault.
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/result.h"
#include "common/tls/context.h"
#include "common/tls/peer.h"

namespace sluice::tls {

/// Threads for the costly part of handshakes. Outlives no io_context whose streams use it: destroy it first, once
/// nothing runs that io_context any more.
class Workers {
 public:
  explicit Workers(std::size_t threads = 1);
  ~Workers();
  [[nodiscard]] boost::asio::any_io_executor executor() const;

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

struct Secured {
  std::shared_ptr<const Context> context;
  std::string host = {};  // of a client: whose certificate it must be; empty: the caller looks at peer()
  std::optional<boost::asio::any_io_executor> workers = {};
};

class Stream {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using executor_type = Socket::executor_type;
  using error_code = boost::system::error_code;

  /// Plain.
  Stream(Socket socket);  // NOLINT(google-explicit-constructor): a socket is a stream already
  /// With TLS; plain where `with.context` is null.
  Stream(Socket socket, Secured with);

  [[nodiscard]] executor_type get_executor();
  [[nodiscard]] Socket& socket();
  [[nodiscard]] const Socket& socket() const;
  [[nodiscard]] bool is_open() const { return socket().is_open(); }
  [[nodiscard]] bool secure() const;
  /// Of a finished handshake; nothing: plain, or the peer showed no certificate.
  [[nodiscard]] const std::optional<Peer>& peer() const;
  /// What went wrong in TLS, in words; empty: nothing did.
  [[nodiscard]] const Error& problem() const;

  /// Handler: void(error_code). At once where there is no TLS.
  template <class Token>
  auto async_handshake(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [this](auto handler) {
          start_handshake([h = std::move(handler)](error_code ec, std::size_t) mutable { std::move(h)(ec); });
        },
        token);
  }
  template <class Buffers, class Token>
  auto async_read_some(const Buffers& to, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this](auto handler, const Buffers& into) {
          if (!secure()) return socket().async_read_some(into, std::move(handler));
          start_read(first_of<boost::asio::mutable_buffer>(into), Handler(std::move(handler)));
        },
        token, to);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& from, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this](auto handler, const Buffers& out) {
          if (!secure()) return socket().async_write_some(out, std::move(handler));
          start_write(first_of<boost::asio::const_buffer>(out), Handler(std::move(handler)));
        },
        token, from);
  }

  /// Nothing more is sent; reading goes on.
  void end_sending();
  /// Cut: the peer can tell that something may be missing.
  void close();
  /// As end_sending() and close(): the peer can tell that nothing is missing.
  void finish();

 private:
  using Handler = std::move_only_function<void(error_code, std::size_t)>;
  struct State;

  template <class Buffer, class Buffers>
  static Buffer first_of(const Buffers& all) {
    for (auto it = boost::asio::buffer_sequence_begin(all); it != boost::asio::buffer_sequence_end(all); ++it)
      if (const Buffer b(*it); b.size() > 0) return b;
    return {};
  }
  void start_handshake(Handler done);
  void start_read(boost::asio::mutable_buffer to, Handler done);
  void start_write(boost::asio::const_buffer from, Handler done);

  std::shared_ptr<State> state_;  // shared with operations, which may end after this object
};

}  // namespace sluice::tls
