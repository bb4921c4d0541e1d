// A daemon's own pages and the tools' client, against each other and against clients that misbehave.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <optional>
#include <thread>

#include "common/http/admin_server.h"
#include "common/http/client.h"
#include "common/http/sse.h"
#include "tests/support/io_thread.h"
#include "tests/support/poll_until.h"
#include "tests/support/raw_client.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;

class Pages {
 public:
  Pages() {
    http::AdminRoutes routes;
    routes["/health"] = [] { return http::AdminReply{200, "application/json", "{}"}; };
    routes["/down"] = [] { return http::AdminReply{503, "text/plain", "draining"}; };
    routes["/big"] = [] { return http::AdminReply{200, "text/plain", std::string(2 << 20, 'b')}; };
    routes["/events"] = [] {
      return http::AdminReply{200, "text/event-stream", "data: one\n\n: note\n\ndata: two\n\n"};
    };
    io_.on_io([&] {
      server_.emplace(io_.io(), "127.0.0.1:0", std::move(routes));
      address_ = server_->address();
    });
  }
  ~Pages() {
    io_.on_io([this] { server_.reset(); });
  }
  const std::string& address() const { return address_; }
  std::uint16_t port() const { return static_cast<std::uint16_t>(std::stoi(address_.substr(address_.rfind(':') + 1))); }
  Result<http::ClientResponse> get(const std::string& target, const std::string& method = "GET") const {
    http::ClientRequest q;
    q.address = address_;
    q.method = method;
    q.target = target;
    return http::request(q);
  }
  /// Connections that hold a place may take a while to be dropped.
  bool serves_again() const {
    return poll_until(
               [this] {
                 auto r = get("/health");
                 return r && r->status == 200;
               },
               15s)
        .has_value();
  }

 private:
  std::optional<http::AdminServer> server_;
  std::string address_;
  IoThread io_;
};

TEST_CASE("pages answer GET; other paths and methods are told apart") {
  Pages p;
  auto r = p.get("/health?x=1");
  REQUIRE(r);
  CHECK(r->status == 200);
  CHECK(r->headers["content-type"] == "application/json");
  CHECK(r->body == "{}");
  CHECK(p.get("/down")->status == 503);
  CHECK(p.get("/down")->body == "draining");
  CHECK(p.get("/nowhere")->status == 404);
  CHECK(p.get("/health", "DELETE")->status == 405);
  CHECK(p.get("/health", "DELETE")->headers["allow"] == "GET, HEAD");
  CHECK(p.get("/big")->body.size() == 2U << 20);
}

TEST_CASE("HEAD tells the length and sends no body, and the client does not wait for one") {
  Pages p;
  RawClient raw(p.port());
  raw.send("HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n");
  auto all = raw.read_all();
  CHECK_THAT(all, StartsWith("HTTP/1.1 200 ") && Contains("Content-Length: 2\r\n") && EndsWith("\r\n\r\n"));
  auto r = p.get("/health", "HEAD");
  REQUIRE(r);
  CHECK(r->status == 200);
  CHECK(r->body.empty());
}

TEST_CASE("a streamed body comes in pieces and ends when the reader says so") {
  Pages p;
  http::ClientRequest q;
  q.address = p.address();
  q.target = "/events";
  std::vector<std::string> events;
  http::SseParser sse([&](std::string_view e) { events.emplace_back(e); });
  auto r = http::stream(q, [&](std::string_view piece) {
    for (char c : piece) REQUIRE(sse.push({&c, 1}));  // events may be cut anywhere
    return true;
  });
  REQUIRE(r);
  CHECK(r->body.empty());
  CHECK(events == std::vector<std::string>{"one", "two"});
  q.target = "/big";
  r = http::stream(q, [](std::string_view) { return false; });
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::cancelled);
  q.target = "/down";  // an error's body is kept for the message, not streamed
  r = http::stream(q, [](std::string_view) { return false; });
  REQUIRE(r);
  CHECK(r->body == "draining");
}

TEST_CASE("garbage, floods and leavers cost their own connection only") {
  Pages p;
  for (const std::string& junk :
       {std::string("\x16\x03\x01 hello\r\n\r\n"), "GET /health HTTP/1.1\r\nA: " + std::string(50'000, 'a'),
        std::string("GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")}) {
    RawClient c(p.port());
    c.send(junk);
    CHECK_THAT(c.read_all(), !Contains(" 200 "));
  }
  for (int i = 0; i < 200; ++i) {
    RawClient c(p.port());
    c.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    if (i % 2) c.reset();
  }
  CHECK(p.serves_again());
}

TEST_CASE("silent connections up to the bound do not lock others out for long") {
  Pages p;
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 64; ++i) silent.push_back(std::make_unique<RawClient>(p.port()));
  CHECK(p.serves_again());
}

TEST_CASE("a header with a line break in it is not sent") {
  Pages p;
  http::ClientRequest q;
  q.address = p.address();
  q.target = "/health";
  q.headers["x-request-id"] = "a\r\nx-other: b";
  const auto r = http::request(q);
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::invalid_argument);
}

TEST_CASE("the client tells apart who did not answer, who was slow and what was not HTTP") {
  http::ClientRequest q;
  q.address = "127.0.0.1:1";
  CHECK(http::request(q).error().code == Errc::unavailable);
  q.address = "no port here";
  CHECK_FALSE(http::request(q));
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
  REQUIRE(::listen(fd, 4) == 0);
  socklen_t n = sizeof a;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &n);
  q.address = "127.0.0.1:" + std::to_string(ntohs(a.sin_port));
  q.timeout = 200ms;
  CHECK(http::request(q).error().code == Errc::deadline_exceeded);
  auto reply = [&](std::string_view text) {
    std::thread server([&] {
      int c = ::accept(fd, nullptr, nullptr);
      char buf[4096];
      (void)!::recv(c, buf, sizeof buf, 0);
      (void)!::send(c, text.data(), text.size(), MSG_NOSIGNAL);
      ::close(c);
    });
    auto r = http::request(q);
    server.join();
    return r;
  };
  // The timed-out connection above is still in the queue.
  ::close(::accept(fd, nullptr, nullptr));
  q.timeout = 5s;
  CHECK(reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")->body == "hello");
  CHECK(reply("HTTP/1.1 200 OK\r\n\r\nuntil close")->body == "until close");
  CHECK(reply("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort").error().code == Errc::unavailable);
  CHECK_FALSE(reply("SSH-2.0-OpenSSH\r\n\r\n"));
  ::close(fd);
}

TEST_CASE("a client's bounds: bytes of a body, and time in all however it drips") {
  const Pages pages;
  http::ClientRequest q;
  q.address = pages.address();
  q.target = "/big";
  q.max_body = 1000;
  CHECK_FALSE(http::request(q));
  q.max_body = 4 << 20;
  CHECK(http::request(q));

  // A server that sends a byte now and then never runs into the timeout without progress.
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor listener(io, {boost::asio::ip::address_v4::loopback(), 0});
  std::jthread dripping([&](const std::stop_token& stop) {
    boost::asio::ip::tcp::socket s(io);
    listener.accept(s);
    boost::system::error_code ec;
    boost::asio::write(s, boost::asio::buffer(std::string("HTTP/1.1 200 OK\r\nx: ")), ec);
    while (!stop.stop_requested() && !ec) {
      s.write_some(boost::asio::buffer("a", 1), ec);
      std::this_thread::sleep_for(20ms);
    }
  });
  q.address = "127.0.0.1:" + std::to_string(listener.local_endpoint().port());
  q.timeout = 10s;
  q.total = 200ms;
  const auto begun = std::chrono::steady_clock::now();
  const auto r = http::request(q);
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::deadline_exceeded);
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
}

}  // namespace
}  // namespace sluice::test
