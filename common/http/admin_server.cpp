#include "common/http/admin_server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>

#include "common/net/listener.h"

namespace sluice::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;

constexpr std::size_t kMaxConnections = 64;
constexpr std::uint32_t kMaxHeader = 8192;
constexpr std::chrono::seconds kTimeout{5};

}  // namespace

struct AdminServer::Impl {
  Impl(asio::io_context& io, const std::string& address, AdminRoutes r)
      : routes(std::move(r)), listener(io, address, [this](tcp::socket s) { serve(std::move(s)); }) {}

  struct Client {
    explicit Client(tcp::socket s) : stream(std::move(s)) {}
    beast::tcp_stream stream;
    beast::flat_buffer buffer{kMaxHeader};
    bhttp::request_parser<bhttp::empty_body> parser;
    bhttp::response<bhttp::string_body> response;
  };

  void serve(tcp::socket s) {
    if (open >= kMaxConnections) return;  // closes as it goes out of scope
    ++open;
    auto c = std::shared_ptr<Client>(new Client(std::move(s)), [this, alive = std::weak_ptr<int>(life)](Client* p) {
      delete p;
      if (!alive.expired()) --open;
    });
    c->parser.header_limit(kMaxHeader);
    c->parser.body_limit(0);
    c->stream.expires_after(kTimeout);
    bhttp::async_read(c->stream, c->buffer, c->parser,
                      [this, c, alive = std::weak_ptr<int>(life)](beast::error_code ec, std::size_t) {
                        if (ec || alive.expired()) return;
                        answer(*c);
                        c->stream.expires_after(kTimeout);
                        bhttp::async_write(c->stream, c->response, [c](beast::error_code, std::size_t) {
                          beast::error_code ignored;
                          c->stream.socket().shutdown(tcp::socket::shutdown_both, ignored);
                        });
                      });
  }

  void answer(Client& c) {
    const auto& q = c.parser.get();
    auto& r = c.response;
    r.version(11);
    r.keep_alive(false);
    const std::string target(q.target().substr(0, q.target().find('?')));
    const auto it = routes.find(target);
    if (q.method() != bhttp::verb::get && q.method() != bhttp::verb::head) {
      r.result(405);
      r.set(bhttp::field::allow, "GET, HEAD");
      r.body() = "only GET and HEAD\n";
    } else if (it == routes.end()) {
      r.result(404);
      r.body() = "no such page\n";
    } else {
      AdminReply reply = it->second();
      r.result(static_cast<unsigned>(reply.status));
      r.set(bhttp::field::content_type, reply.content_type);
      r.body() = std::move(reply.body);
    }
    r.prepare_payload();
    if (q.method() == bhttp::verb::head) r.body().clear();
  }

  AdminRoutes routes;
  std::size_t open = 0;
  std::shared_ptr<int> life = std::make_shared<int>(0);  // expires with this, so that late completions see it
  net::Listener listener;
};

AdminServer::AdminServer(asio::io_context& io, const std::string& address, AdminRoutes routes)
    : impl_(std::make_shared<Impl>(io, address, std::move(routes))) {}

AdminServer::~AdminServer() { impl_->listener.stop(); }

std::string AdminServer::address() const { return impl_->listener.address(); }

}  // namespace sluice::http
