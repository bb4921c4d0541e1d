#include "common/etcd/http_call.h"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>

#include "common/tls/stream.h"

namespace sluice::etcd {
namespace {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

class Call final : public HttpCall, public std::enable_shared_from_this<Call> {
 public:
  Call(asio::io_context& io, std::shared_ptr<const tls::Context> tls, Request q, OnLine on_line, Done done)
      : q_(std::move(q)),
        on_line_(std::move(on_line)),
        done_(std::move(done)),
        trust_(std::move(tls)),
        timer_(io),
        resolver_(io),
        socket_(io) {
    parser_.body_limit(on_line_ ? std::numeric_limits<std::uint64_t>::max() : q_.max_bytes);
  }

  void run() {
    timer_.expires_after(q_.timeout);
    timer_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec)
        self->end(
            fail(Errc::deadline_exceeded, "{}: no answer within {} ms", self->q_.at.str(), self->q_.timeout.count()));
    });
    resolver_.async_resolve(q_.at.host, std::to_string(q_.at.port),
                            [self = shared_from_this()](error_code ec, const tcp::resolver::results_type& found) {
                              if (self->over()) return;
                              if (ec) return self->cut("cannot resolve its name", ec);
                              self->connect(found);
                            });
  }

  void cancel() override {
    done_ = nullptr;
    on_line_ = nullptr;
    close();
  }

 private:
  [[nodiscard]] bool over() const noexcept { return done_ == nullptr; }

  void close() {
    error_code ignored;
    timer_.cancel();
    resolver_.cancel();
    socket_.close(ignored);
    if (stream_) stream_->close();
  }

  void end(Result<Answer> r) {
    if (over()) return;
    const Done done = std::exchange(done_, nullptr);
    on_line_ = nullptr;
    close();
    done(std::move(r));
  }
  void cut(const char* what, error_code ec) {
    end(fail(Errc::unavailable, "{}: {}: {}", q_.at.str(), what, ec.message()));
  }

  void connect(const tcp::resolver::results_type& found) {
    asio::async_connect(socket_, found, [self = shared_from_this()](error_code ec, const tcp::endpoint&) {
      if (self->over()) return;
      if (ec) return self->cut("cannot connect", ec);
      self->greet();
    });
  }

  void greet() {
    std::string host = q_.at.host;
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
    stream_.emplace(std::move(socket_), tls::Secured{.context = trust_, .host = std::move(host)});
    stream_->async_handshake([self = shared_from_this()](error_code ec) {
      if (self->over()) return;
      const std::string& words = self->stream_->problem().message;
      if (ec && !words.empty()) return self->end(fail(Errc::unavailable, "{}: {}", self->q_.at.str(), words));
      if (ec) return self->cut("no TLS", ec);
      self->send();
    });
  }

  void send() {
    out_ = fmt::format(
        "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        q_.target, q_.at.str(), q_.body.size());
    if (!q_.token.empty()) out_ += fmt::format("Authorization: {}\r\n", q_.token);
    out_ += "\r\n";
    out_ += q_.body;
    auto sent = [self = shared_from_this()](error_code ec, std::size_t) {
      if (self->over()) return;
      if (ec) return self->cut("cannot send", ec);
      self->read();
    };
    asio::async_write(*stream_, asio::buffer(out_), std::move(sent));
  }

  void read() {
    const auto room = asio::buffer(input_.data() + left_, input_.size() - left_);
    auto came = [self = shared_from_this()](error_code ec, std::size_t n) {
      if (!self->over()) self->take(ec, n);
    };
    stream_->async_read_some(room, std::move(came));
  }

  void take(error_code ec, std::size_t n) {
    if (ec && parser_.got_some() && !parser_.is_done() && ec == asio::error::eof) {
      error_code at_end;
      parser_.put_eof(at_end);  // a body without a length ends here; any other is cut short
      if (!at_end && parser_.is_done()) return answered();
    }
    if (ec) return cut(parser_.is_header_done() ? "its answer is cut short" : "no answer", ec);
    if (auto r = parse(std::string_view(input_).substr(0, std::exchange(left_, 0) + n)); !r)
      return end(std::unexpected(r.error()));
    if (over()) return;  // a line's reader hung up
    if (parser_.is_done()) return answered();
    read();
  }

  /// Gives the parser what came; what it does not take yet is kept for the next time.
  Result<> parse(std::string_view bytes) {
    while (!bytes.empty() && !parser_.is_done()) {
      error_code ec;
      const std::size_t taken = parser_.put(asio::buffer(bytes), ec);
      bytes.remove_prefix(taken);
      if (ec == bhttp::error::need_more) break;
      if (ec == bhttp::error::body_limit)
        return fail(Errc::resource_exhausted, "{}: an answer of more than {} bytes", q_.at.str(), q_.max_bytes);
      if (ec) return fail(Errc::unavailable, "{}: no HTTP answer: {}", q_.at.str(), ec.message());
      SLUICE_TRY(tell_lines());
      if (over()) return {};
    }
    if (parser_.is_done()) return {};
    if (bytes.size() == input_.size())
      return fail(Errc::unavailable, "{}: no HTTP answer: a header too large", q_.at.str());
    std::ranges::copy(bytes, input_.begin());
    left_ = bytes.size();
    return {};
  }

  [[nodiscard]] bool streams() const {
    return on_line_ != nullptr && parser_.is_header_done() && parser_.get().result_int() / 100 == 2;
  }

  Result<> tell_lines() {
    if (!streams()) return {};
    timer_.cancel();  // it has begun; whether it goes on is its reader's to watch
    std::string& body = parser_.get().body();
    line_ += body;
    body.clear();
    std::size_t begin = 0;
    for (std::size_t at = line_.find('\n'); at != std::string::npos && !over(); at = line_.find('\n', begin)) {
      const OnLine tell = on_line_;  // stays while it runs, even if it cancels
      tell(std::string_view(line_).substr(begin, at - begin));
      begin = at + 1;
    }
    line_.erase(0, begin);
    if (line_.size() > q_.max_bytes)
      return fail(Errc::resource_exhausted, "{}: a line of more than {} bytes", q_.at.str(), q_.max_bytes);
    return {};
  }

  void answered() {
    Answer a{static_cast<int>(parser_.get().result_int()), {}};
    if (!streams()) a.body = std::move(parser_.get().body());
    end(std::move(a));
  }

  Request q_;
  OnLine on_line_;
  Done done_;
  std::shared_ptr<const tls::Context> trust_;
  asio::steady_timer timer_;
  tcp::resolver resolver_;
  tcp::socket socket_;
  std::optional<tls::Stream> stream_;
  bhttp::response_parser<bhttp::string_body> parser_;
  std::string out_, line_;
  std::string input_ = std::string(64U << 10U, '\0');
  std::size_t left_ = 0;  // bytes at its begin that the parser has not taken
};

}  // namespace

std::shared_ptr<HttpCall> HttpCall::start(asio::io_context& io, std::shared_ptr<const tls::Context> tls, Request q,
                                          OnLine on_line, Done done) {
  auto call = std::make_shared<Call>(io, std::move(tls), std::move(q), std::move(on_line), std::move(done));
  call->run();
  return call;
}

}  // namespace sluice::etcd
