#include "common/http/client.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "common/net/address.h"
#include "common/tls/stream.h"

namespace sluice::http {
namespace {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

/// The request as it goes out. invalid_argument: a field would end its line.
Result<std::string> head_of(const ClientRequest& q) {
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", q.method, q.target, q.address);
  for (const auto& [name, value] : q.headers) {
    if ((name + value).find_first_of("\r\n") != std::string::npos)
      return fail(Errc::invalid_argument, "header '{}' holds a line break", name.substr(0, name.find_first_of("\r\n")));
    head += fmt::format("{}: {}\r\n", name, value);
  }
  if (!q.body.empty() || q.method == "POST" || q.method == "PUT")
    head += fmt::format("Content-Length: {}\r\n", q.body.size());
  return head + "\r\n";
}

/// One exchange: blocking steps, each an asynchronous operation that is given a time to end in. Of Beast only the
/// parser: its own reading and writing cost ten seconds of compile time.
class Exchange {
 public:
  explicit Exchange(const ClientRequest& q) : q_(q), stream_(tcp::socket(io_)) {}

  Result<ClientResponse> run(const OnBody* on_body) {
    SLUICE_ASSIGN(const std::string head, head_of(q_));
    SLUICE_TRY(connect());
    SLUICE_TRY(send(head));
    SLUICE_TRY(send(q_.body));
    return receive(on_body);
  }

 private:
  /// How long the next step may take.
  [[nodiscard]] std::chrono::milliseconds patience() const {
    if (q_.total.count() == 0) return q_.timeout;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(begun_ + q_.total - std::chrono::steady_clock::now());
    return std::clamp(left, std::chrono::milliseconds(0), q_.timeout);
  }

  /// Runs the operation that was started and sets ec_; closes the socket when it takes too long.
  Result<> finish(const char* what) {
    const auto limit = patience();
    io_.restart();
    io_.run_for(limit);
    if (!io_.stopped()) {
      error_code ignored;
      stream_.socket().close(ignored);
      io_.run();
      return fail(Errc::deadline_exceeded, "{} {}: no progress within {} ms", what, q_.address, limit.count());
    }
    const Error& tls = stream_.problem();
    if (ec_ && !tls.message.empty()) return fail(Errc::unavailable, "{} {}: {}", what, q_.address, tls.message);
    if (ec_) return fail(Errc::unavailable, "{} {}: {}", what, q_.address, ec_.message());
    return {};
  }

  Result<> connect() {
    SLUICE_ASSIGN(const auto at, net::parse_listen_address(q_.address));
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(at.host.empty() ? "127.0.0.1" : at.host, std::to_string(at.port), ec_);
    if (ec_) return fail(Errc::unavailable, "cannot resolve {}: {}", q_.address, ec_.message());
    Result<> connected = fail(Errc::unavailable, "{} has no address", q_.address);
    for (const auto& entry : found) {
      error_code ignored;
      stream_.socket().close(ignored);  // of the try before
      stream_.socket().async_connect(entry.endpoint(), [this](error_code ec) { ec_ = ec; });
      connected = finish("cannot connect to");
      if (connected) break;
    }
    if (!connected || !q_.tls) return connected;
    stream_ = tls::Stream(std::move(stream_.socket()), {q_.tls, at.host.empty() ? "127.0.0.1" : at.host});
    stream_.async_handshake([this](error_code ec) { ec_ = ec; });
    return finish("no TLS with");
  }

  /// The whole of it; each part that leaves is progress.
  Result<> send(std::string_view bytes) {
    while (!bytes.empty()) {
      std::size_t sent = 0;
      stream_.async_write_some(asio::buffer(bytes), [this, &sent](error_code ec, std::size_t n) {
        ec_ = ec;
        sent = n;
      });
      SLUICE_TRY(finish("cannot send to"));
      bytes.remove_prefix(sent);
    }
    return {};
  }

  /// What came, or nothing at the end of the stream.
  Result<std::string_view> more(const char* what) {
    std::size_t got = 0;
    stream_.async_read_some(asio::buffer(input_.data() + left_, input_.size() - left_),
                            [this, &got](error_code ec, std::size_t n) {
                              ec_ = ec == asio::error::eof ? error_code() : ec;
                              got = n;
                            });
    SLUICE_TRY(finish(what));
    const std::size_t before = std::exchange(left_, 0);
    return std::string_view(input_).substr(0, got == 0 ? 0 : before + got);
  }

  Result<ClientResponse> receive(const OnBody* on_body) {
    bhttp::response_parser<bhttp::string_body> parser;
    parser.body_limit(q_.max_body);
    parser.skip(q_.method == "HEAD");  // its Content-Length announces a body that does not follow
    ClientResponse r;
    bool streamed = false;
    while (!parser.is_done()) {
      const bool begun = parser.is_header_done();
      SLUICE_ASSIGN(std::string_view bytes, more(begun ? "answer cut short by" : "no answer from"));
      if (bytes.empty()) {
        error_code ec;
        if (parser.got_some()) parser.put_eof(ec);
        if (ec || !parser.is_done())
          return fail(Errc::unavailable, "{} {}: end of stream", begun ? "answer cut short by" : "no answer from",
                      q_.address);
        break;
      }
      SLUICE_TRY(parse(parser, bytes));
      if (!begun && parser.is_header_done()) {
        take_head(parser.get(), r);
        streamed = on_body != nullptr && r.status / 100 == 2;
      }
      if (!parser.is_header_done()) continue;
      std::string& body = parser.get().body();
      if (streamed && !body.empty() && !(*on_body)(body)) return fail(Errc::cancelled, "hung up");
      if (streamed) body.clear();
    }
    r.body = std::move(parser.get().body());
    return r;
  }

  /// Gives the parser what came; what it does not take yet is kept for the next time.
  template <class Parser>
  Result<> parse(Parser& parser, std::string_view bytes) {
    while (!bytes.empty() && !parser.is_done()) {
      error_code ec;
      const std::size_t taken = parser.put(asio::buffer(bytes), ec);
      bytes.remove_prefix(taken);
      if (ec == bhttp::error::need_more) break;
      if (ec) return fail(Errc::unavailable, "no HTTP answer from {}: {}", q_.address, ec.message());
    }
    if (parser.is_done()) return {};
    if (bytes.size() == input_.size())
      return fail(Errc::unavailable, "no HTTP answer from {}: its header is too large", q_.address);
    std::ranges::copy(bytes, input_.begin());
    left_ = bytes.size();
    return {};
  }

  template <class Message>
  static void take_head(const Message& m, ClientResponse& r) {
    r.status = static_cast<int>(m.result_int());
    for (const auto& f : m.base()) {
      std::string key(f.name_string());
      std::ranges::transform(key, key.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      r.headers[key] = std::string(f.value());
    }
  }

  const ClientRequest& q_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  asio::io_context io_;
  tls::Stream stream_;
  error_code ec_;
  std::string input_ = std::string(64U << 10U, '\0');
  std::size_t left_ = 0;  // bytes at its begin that the parser has not taken
};

}  // namespace

Result<ClientResponse> request(const ClientRequest& q) { return Exchange(q).run(nullptr); }

Result<ClientResponse> stream(const ClientRequest& q, const OnBody& on_body) { return Exchange(q).run(&on_body); }

}  // namespace sluice::http
