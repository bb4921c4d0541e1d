#include "common/http/client.h"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "common/net/address.h"

namespace sluice::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;

constexpr std::uint64_t kMaxBody = 256U << 20;

/// One exchange: blocking steps, each an asynchronous operation with a timeout run to its end.
class Exchange {
 public:
  explicit Exchange(const ClientRequest& q) : q_(q), stream_(io_) {}

  Result<ClientResponse> run(const OnBody* on_body) {
    SLUICE_TRY(connect());
    SLUICE_TRY(send());
    return receive(on_body);
  }

 private:
  /// Runs one started operation; `ec` is its result.
  Result<> finish(const char* what) {
    io_.restart();
    io_.run();
    if (!ec_) return {};
    if (ec_ == beast::error::timeout)
      return fail(Errc::deadline_exceeded, "{} {}: no progress within {} ms", what, q_.address, q_.timeout.count());
    return fail(Errc::unavailable, "{} {}: {}", what, q_.address, ec_.message());
  }

  Result<> connect() {
    SLUICE_ASSIGN(const auto at, net::parse_listen_address(q_.address));
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(at.host.empty() ? "127.0.0.1" : at.host, std::to_string(at.port), ec_);
    if (ec_) return fail(Errc::unavailable, "cannot resolve {}: {}", q_.address, ec_.message());
    stream_.expires_after(q_.timeout);
    stream_.async_connect(found, [this](beast::error_code ec, const tcp::endpoint&) { ec_ = ec; });
    return finish("cannot connect to");
  }

  Result<> send() {
    request_.version(11);
    request_.method_string(q_.method);
    request_.target(q_.target);
    request_.set(bhttp::field::host, q_.address);
    request_.set(bhttp::field::connection, "close");
    for (const auto& [k, v] : q_.headers) request_.set(k, v);
    request_.body() = q_.body;
    request_.prepare_payload();
    stream_.expires_after(q_.timeout);
    bhttp::async_write(stream_, request_, [this](beast::error_code ec, std::size_t) { ec_ = ec; });
    return finish("cannot send to");
  }

  Result<ClientResponse> receive(const OnBody* on_body) {
    bhttp::response_parser<bhttp::buffer_body> parser;
    parser.body_limit(kMaxBody);
    parser.skip(q_.method == "HEAD");  // its Content-Length announces a body that does not follow
    stream_.expires_after(q_.timeout);
    bhttp::async_read_header(stream_, buffer_, parser, [this](beast::error_code ec, std::size_t) { ec_ = ec; });
    SLUICE_TRY(finish("no answer from"));
    ClientResponse r;
    r.status = static_cast<int>(parser.get().result_int());
    for (const auto& f : parser.get().base()) {
      std::string key(f.name_string());
      std::ranges::transform(key, key.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      r.headers[key] = std::string(f.value());
    }
    const bool streamed = on_body != nullptr && r.status / 100 == 2;
    std::string piece(64U << 10, '\0');
    while (!parser.is_done()) {
      parser.get().body() = {.data = piece.data(), .size = piece.size(), .more = true};
      stream_.expires_after(q_.timeout);
      bhttp::async_read_some(stream_, buffer_, parser, [this](beast::error_code ec, std::size_t) {
        ec_ = ec == bhttp::error::need_buffer ? beast::error_code() : ec;
      });
      SLUICE_TRY(finish("answer cut short by"));
      const std::string_view got(piece.data(), piece.size() - parser.get().body().size);
      if (!streamed) {
        r.body += got;
      } else if (!got.empty() && !(*on_body)(got)) {
        return fail(Errc::cancelled, "hung up");
      }
    }
    return r;
  }

  const ClientRequest& q_;
  asio::io_context io_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  bhttp::request<bhttp::string_body> request_;
  beast::error_code ec_;
};

}  // namespace

Result<ClientResponse> request(const ClientRequest& q) { return Exchange(q).run(nullptr); }

Result<ClientResponse> stream(const ClientRequest& q, const OnBody& on_body) { return Exchange(q).run(&on_body); }

void SseParser::push(std::string_view bytes) {
  pending_ += bytes;
  std::size_t begin = 0;
  for (std::size_t end = pending_.find("\n\n", begin); end != std::string::npos; end = pending_.find("\n\n", begin)) {
    const std::string_view event = std::string_view(pending_).substr(begin, end - begin);
    if (event.starts_with("data: ")) on_event_(event.substr(6));
    begin = end + 2;
  }
  pending_.erase(0, begin);
}

}  // namespace sluice::http
