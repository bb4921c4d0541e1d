#include "common/tls/stream.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>
#include <utility>
#include <vector>

#include "common/tls/session.h"

namespace sluice::tls {

namespace asio = boost::asio;
using boost::system::error_code;

struct Workers::Pool {
  explicit Pool(std::size_t threads) : pool(threads) {}
  asio::thread_pool pool;
};
Workers::Workers(std::size_t threads) : pool_(std::make_unique<Pool>(threads)) {}
Workers::~Workers() = default;
asio::any_io_executor Workers::executor() const { return pool_->pool.get_executor(); }

struct Stream::State : std::enable_shared_from_this<State> {
  /// One TLS record: a slow reader shows progress with each.
  static constexpr std::size_t kMostWritten = 16U << 10U;

  State(Socket s, Secured with) : socket(std::move(s)), secured(std::move(with)) {
    if (!secured.context) return;
    session = std::make_unique<Session>(secured.context, secured.host);
    in.resize(16U << 10U);
  }

  /// Handlers never run inside the call that began the operation.
  void later(Handler done, error_code ec, std::size_t n = 0) {
    asio::post(socket.get_executor(), [done = std::move(done), ec, n]() mutable { done(ec, n); });
  }
  error_code broken(const Error& why) {
    if (problem.message.empty()) problem = why;
    return make_error_code(boost::system::errc::protocol_error);
  }

  // ---- Handshake ----

  void handshake(Handler done) {
    if (!socket.is_open()) return later(std::move(done), asio::error::operation_aborted);
    auto step = [self = shared_from_this(), done = std::move(done)]() mutable {
      auto result = self->session->handshake();
      asio::post(self->socket.get_executor(), [self, done = std::move(done), result = std::move(result)]() mutable {
        self->stepped(std::move(done), std::move(result));
      });
    };
    if (!secured.workers) return step();
    // The io_context has this handshake to wait for, although nothing of it is in its hands.
    asio::post(
        *secured.workers,
        [step = std::move(step),
         work = asio::prefer(socket.get_executor(), asio::execution::outstanding_work.tracked)]() mutable { step(); });
  }

  void stepped(Handler done, Result<bool> result) {
    flush();
    if (!result) return done(broken(result.error()), 0);
    if (!socket.is_open()) return done(asio::error::operation_aborted, 0);
    if (*result) {
      established = true;
      return done({}, 0);
    }
    socket.async_read_some(
        asio::buffer(in), [self = shared_from_this(), done = std::move(done)](error_code ec, std::size_t n) mutable {
          if (ec == asio::error::eof)
            self->broken({Errc::unavailable, "TLS: the peer ended the connection within the handshake", {}});
          if (ec) return done(ec, 0);
          self->session->feed({self->in.data(), n});
          self->handshake(std::move(done));
        });
  }

  // ---- Bytes ----

  void read(asio::mutable_buffer to, Handler done) {
    if (!socket.is_open()) return later(std::move(done), asio::error::operation_aborted);
    const auto n = session->read(static_cast<char*>(to.data()), to.size());
    flush();  // what the session itself has to say
    if (!n) return later(std::move(done), broken(n.error()));
    if (*n > 0 || to.size() == 0) return later(std::move(done), {}, *n);
    if (session->ended()) return later(std::move(done), asio::error::eof);
    socket.async_read_some(asio::buffer(in), [self = shared_from_this(), to, done = std::move(done)](
                                                 error_code ec, std::size_t got) mutable {
      if (ec) return done(ec, 0);
      self->session->feed({self->in.data(), got});
      self->read(to, std::move(done));
    });
  }

  void write(asio::const_buffer from, Handler done) {
    if (!socket.is_open()) return later(std::move(done), asio::error::operation_aborted);
    if (write_error) return later(std::move(done), write_error);
    const std::size_t n = std::min(from.size(), kMostWritten);
    if (auto r = session->write({static_cast<const char*>(from.data()), n}); !r)
      return later(std::move(done), broken(r.error()));
    written = std::move(done);
    written_bytes = n;
    flush();
    if (!flushing && written) later(std::exchange(written, nullptr), write_error, n);
  }

  /// Sends what the session has put out, and tells whoever waits for that.
  void flush() {
    if (flushing || write_error) return;
    out = session->take_output();
    if (out.empty()) return;
    flushing = true;
    asio::async_write(socket, asio::buffer(out), [self = shared_from_this()](error_code ec, std::size_t) {
      self->flushing = false;
      self->write_error = ec;
      if (!ec) self->flush();
      if (self->flushing || !self->written) return;
      std::exchange(self->written, nullptr)(ec, ec ? 0 : self->written_bytes);
    });
  }

  /// Says goodbye if that can be done without waiting: best effort, and short enough to fit any send buffer.
  void say_end() {
    if (!session || !established || flushing || write_error || !socket.is_open()) return;
    session->end();
    const std::string bye = session->take_output();
    error_code ec;
    socket.non_blocking(true, ec);
    if (!ec) socket.write_some(asio::buffer(bye), ec);
  }

  Socket socket;
  Secured secured;
  std::unique_ptr<Session> session;  // null: plain
  Error problem{Errc::internal, {}, {}};
  bool established = false;
  std::vector<char> in;  // owned by the outstanding read of the socket
  std::string out;       // owned by the outstanding write of the socket
  bool flushing = false;
  error_code write_error;
  Handler written;  // waits until all is out
  std::size_t written_bytes = 0;
};

Stream::Stream(Socket socket) : Stream(std::move(socket), Secured{}) {}
Stream::Stream(Socket socket, Secured with) : state_(std::make_shared<State>(std::move(socket), std::move(with))) {}

Stream::executor_type Stream::get_executor() { return state_->socket.get_executor(); }
Stream::Socket& Stream::socket() { return state_->socket; }
const Stream::Socket& Stream::socket() const { return state_->socket; }
bool Stream::secure() const { return state_->session != nullptr; }
const Error& Stream::problem() const { return state_->problem; }

const std::optional<Peer>& Stream::peer() const {
  static const std::optional<Peer> kNobody;
  return state_->established ? state_->session->peer() : kNobody;
}

void Stream::start_handshake(Handler done) {
  if (!secure()) return state_->later(std::move(done), {});
  state_->handshake(std::move(done));
}
void Stream::start_read(asio::mutable_buffer to, Handler done) { state_->read(to, std::move(done)); }
void Stream::start_write(asio::const_buffer from, Handler done) { state_->write(from, std::move(done)); }

void Stream::end_sending() {
  error_code ec;
  state_->say_end();
  state_->socket.shutdown(Socket::shutdown_send, ec);
}
void Stream::close() {
  error_code ec;
  state_->socket.close(ec);
}
void Stream::finish() {
  state_->say_end();
  close();
}

}  // namespace sluice::tls
