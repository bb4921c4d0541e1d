// The asynchronous client against a daemon's pages and against peers that misbehave.
#include "common/http/async_client.h"

#include <atomic>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <thread>

namespace sluice::test {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;
using Catch::Contains;

/// A peer that says what it is told to, a connection after another: for each, the answers to the requests that come on
/// it; then it closes.
class Script {
 public:
  using Connection = std::vector<std::string>;

  explicit Script(std::vector<Connection> connections, std::chrono::milliseconds slow = 0ms)
      : acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
        thread_([this, connections = std::move(connections), slow] {
          for (const auto& c : connections) serve(c, slow);
        }) {}
  ~Script() { thread_.join(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }
  int requests() const { return requests_; }

 private:
  void serve(const Connection& answers, std::chrono::milliseconds slow) {
    tcp::socket s(io_);
    acceptor_.accept(s);
    boost::system::error_code ec;
    asio::streambuf in;
    for (const auto& a : answers) {
      asio::read_until(s, in, "\r\n\r\n", ec);
      if (ec) return;
      in.consume(in.size());
      ++requests_;
      std::this_thread::sleep_for(slow);
      asio::write(s, asio::buffer(a), ec);
    }
  }

  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::atomic<int> requests_{0};
  std::thread thread_;
};

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct Answer {
  Result<http::ClientResponse> response = fail(Errc::internal, "none came");
  std::string streamed;
  int times = 0;
};

/// Requests one after another on one client.
std::vector<Answer> ask(const std::string& address, int n, std::chrono::milliseconds timeout = 5s) {
  asio::io_context io;
  http::AsyncClient client(io, {.address = address, .timeout = timeout, .make_wire = http::tcp_wire});
  REQUIRE(client.resolve());
  std::vector<Answer> answers(static_cast<std::size_t>(n));
  std::function<void(std::size_t)> next = [&](std::size_t i) {
    if (i == answers.size()) return io.stop();
    client.start(
        {.method = "GET", .target = "/"},
        [&, i](std::string_view piece) {
          answers[i].streamed += piece;
          return piece.find("STOP") == std::string_view::npos;
        },
        [&, i](Result<http::ClientResponse> r) {
          answers[i].response = std::move(r);
          ++answers[i].times;
          next(i + 1);
        });
  };
  next(0);
  io.run();
  for (const auto& a : answers) CHECK(a.times == 1);
  return answers;
}

}  // namespace

TEST_CASE("a connection is used again, and replaced when it turns out to be closed") {
  Script peer({{ok("one"), ok("two")}, {ok("three")}});
  const auto a = ask(peer.address(), 3);
  for (const auto& [i, body] : std::map<std::size_t, std::string>{{0, "one"}, {1, "two"}, {2, "three"}}) {
    REQUIRE(a[i].response);
    CHECK(a[i].response->status == 200);
    CHECK(a[i].streamed == body);
    CHECK(a[i].response->body.empty());
  }
  CHECK(peer.requests() == 3);
}

TEST_CASE("chunks, bodies up to the end of the stream, and errors' bodies are read") {
  Script peer(
      {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        "HTTP/1.1 429 Full\r\nContent-Length: 4\r\nX-Why: Load\r\n\r\nbusy", "HTTP/1.1 200 OK\r\n\r\nto the end"}});
  const auto a = ask(peer.address(), 3);
  CHECK(a[0].streamed == "abcde");
  REQUIRE(a[1].response);
  CHECK(a[1].response->status == 429);
  CHECK(a[1].response->body == "busy");
  CHECK(a[1].response->headers.at("x-why") == "Load");
  CHECK(a[1].streamed.empty());
  REQUIRE(a[2].response);
  CHECK(a[2].streamed == "to the end");
}

TEST_CASE("peers that misbehave are errors, each request's own") {
  const std::string half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
  Script peer(
      {{half}, {"SSH-2.0-x\r\n\r\n"}, {"HTTP/1.1 200 OK\r\nx: " + std::string(40000, 'y')}, {""}, {ok("STOP it")}});
  const auto a = ask(peer.address(), 5);
  const auto code = [&](std::size_t i) {
    REQUIRE_FALSE(a[i].response);
    return a[i].response.error().code;
  };
  CHECK(code(0) == Errc::unavailable);
  CHECK_THAT(a[0].response.error().message, Contains("cut short"));
  CHECK(code(1) == Errc::unavailable);
  CHECK(code(2) == Errc::unavailable);
  CHECK(code(3) == Errc::unavailable);
  CHECK_THAT(a[3].response.error().message, Contains("no answer"));
  CHECK(code(4) == Errc::cancelled);
}

TEST_CASE("no progress within the timeout, nobody there, and a header that would end its line") {
  {
    Script slow({{ok("late")}}, 400ms);
    const auto a = ask(slow.address(), 1, 100ms);
    REQUIRE_FALSE(a[0].response);
    CHECK(a[0].response.error().code == Errc::deadline_exceeded);
  }
  std::string gone;
  {
    Script peer({});
    gone = peer.address();
  }
  const auto a = ask(gone, 2);
  CHECK(a[0].response.error().code == Errc::unavailable);
  CHECK(a[1].response.error().code == Errc::unavailable);

  asio::io_context io;
  http::AsyncClient client(io, {.address = gone, .make_wire = http::tcp_wire});
  bool called = false;
  client.start({.headers = {{"x", "a\r\nb: c"}}}, {}, [&](const Result<http::ClientResponse>& r) {
    called = true;
    CHECK(r.error().code == Errc::invalid_argument);
  });
  CHECK_FALSE(called);  // never from inside start()
  io.run();
  CHECK(called);
}

TEST_CASE("a client that goes drops what is under way") {
  Script slow({{ok("late")}}, 50ms);
  asio::io_context io;
  {
    http::AsyncClient client(io, {.address = slow.address(), .make_wire = http::tcp_wire});
    REQUIRE(client.resolve());
    client.start({}, {}, [](const Result<http::ClientResponse>&) { FAIL("the client is gone"); });
    io.run_for(20ms);
  }
  io.run_for(100ms);
}

}  // namespace sluice::test
