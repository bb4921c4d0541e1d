#include "common/http/admin_server.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <chrono>

#include "common/net/listener.h"
#include "common/tls/stream.h"

namespace sluice::http {
namespace {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kMaxConnections = 64;
constexpr std::uint32_t kMaxHeader = 8192;
constexpr std::chrono::seconds kTimeout{5};

std::string_view reason(int status) {
  const auto known = bhttp::int_to_status(static_cast<unsigned>(status));
  const auto text = bhttp::obsolete_reason(known);
  return {text.data(), text.size()};
}

/// A whole answer; the connection ends after it.
std::string answer_text(const AdminReply& reply, std::string_view more_headers, bool head_only) {
  std::string text =
      fmt::format("HTTP/1.1 {} {}\r\nConnection: close\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}\r\n",
                  reply.status, reason(reply.status), reply.content_type, reply.body.size(), more_headers);
  if (!head_only) text += reply.body;
  return text;
}

}  // namespace

struct AdminServer::Impl {
  Impl(asio::io_context& io, const std::string& address, AdminRoutes r, std::shared_ptr<tls::Source> t)
      : routes(std::move(r)),
        source(std::move(t)),
        listener(io, address, [this](tcp::socket s) { serve(std::move(s)); }) {}

  struct Client {
    Client(tcp::socket s, std::shared_ptr<const tls::Context> tls)
        : stream(std::move(s), tls::Secured{.context = std::move(tls)}), timer(stream.get_executor()) {}
    tls::Stream stream;
    asio::steady_timer timer;
    bhttp::request_parser<bhttp::empty_body> parser;
    std::array<char, kMaxHeader> input;  // owned by the outstanding read
    std::size_t filled = 0;
    std::string answer;  // owned by the outstanding write
  };
  using ClientPtr = std::shared_ptr<Client>;

  void serve(tcp::socket s) {
    if (open >= kMaxConnections) return;  // closes as it goes out of scope
    ++open;
    ClientPtr c(new Client(std::move(s), source ? source->current() : nullptr),
                [this, alive = std::weak_ptr<int>(life)](Client* p) {
                  delete p;
                  if (!alive.expired()) --open;
                });
    c->parser.header_limit(kMaxHeader);
    c->parser.body_limit(0);
    limit(c);
    c->stream.async_handshake([this, c, alive = std::weak_ptr<int>(life)](error_code ec) {
      if (!ec && !alive.expired()) read(c);
    });
  }

  /// Ends the connection when the step about to begin takes too long.
  static void limit(const ClientPtr& c) {
    c->timer.expires_after(kTimeout);
    c->timer.async_wait([weak = std::weak_ptr<Client>(c)](error_code ec) {
      const ClientPtr late = weak.lock();
      if (!ec && late) late->stream.close();
    });
  }

  void read(const ClientPtr& c) {
    c->stream.async_read_some(asio::buffer(c->input.data() + c->filled, c->input.size() - c->filled),
                              [this, c, alive = std::weak_ptr<int>(life)](error_code ec, std::size_t n) {
                                if (ec || alive.expired()) return;
                                c->filled += n;
                                take(c);
                              });
  }

  void take(const ClientPtr& c) {
    error_code ec;
    const std::size_t taken = c->parser.put(asio::buffer(c->input.data(), c->filled), ec);
    std::copy(c->input.begin() + static_cast<std::ptrdiff_t>(taken),
              c->input.begin() + static_cast<std::ptrdiff_t>(c->filled), c->input.begin());
    c->filled -= taken;
    if (c->parser.is_done()) return write(c);
    const bool goes_on = !ec || ec == bhttp::error::need_more;
    if (goes_on && c->filled < c->input.size()) read(c);  // else it is no HTTP, and the connection ends
  }

  void write(const ClientPtr& c) {
    c->answer = answer(c->parser.get());
    limit(c);
    asio::async_write(c->stream, asio::buffer(c->answer), [c](error_code, std::size_t) {
      c->timer.cancel();
      c->stream.finish();
    });
  }

  [[nodiscard]] std::string answer(const bhttp::request<bhttp::empty_body>& q) const {
    const bool head_only = q.method() == bhttp::verb::head;
    const std::string target(q.target().substr(0, q.target().find('?')));
    const auto it = routes.find(target);
    if (q.method() != bhttp::verb::get && !head_only)
      return answer_text({405, "text/plain", "only GET and HEAD\n"}, "Allow: GET, HEAD\r\n", false);
    if (it == routes.end()) return answer_text({404, "text/plain", "no such page\n"}, {}, head_only);
    return answer_text(it->second(), {}, head_only);
  }

  AdminRoutes routes;
  std::shared_ptr<tls::Source> source;  // null: plain
  std::size_t open = 0;
  std::shared_ptr<int> life = std::make_shared<int>(0);  // expires with this, so that late completions see it
  net::Listener listener;
};

AdminServer::AdminServer(asio::io_context& io, const std::string& address, AdminRoutes routes,
                         std::shared_ptr<tls::Source> tls)
    : impl_(std::make_shared<Impl>(io, address, std::move(routes), std::move(tls))) {}

AdminServer::~AdminServer() { impl_->listener.stop(); }

std::string AdminServer::address() const { return impl_->listener.address(); }

}  // namespace sluice::http
