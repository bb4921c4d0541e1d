// The front door against clients that are slow, gone, huge or broken. Each bound has its status and its counter.
#include "tests/support/server_fixture.h"

namespace sluice::test {
namespace {

using Catch::Contains;
using Catch::StartsWith;

HttpServerOptions tight() {
  return {.max_header_bytes = 4096,
          .max_body_bytes = 10'000,
          .max_buffered_bytes = 64 * 1024,
          .idle_timeout = 300ms,
          .header_timeout = 200ms,
          .body_timeout = 200ms,
          .write_timeout = 300ms,
          .linger_timeout = 500ms};
}

/// A route whose stream stays open until the test ends it.
struct OpenStream {
  std::shared_ptr<StreamWriter> writer;
  std::optional<Disconnect> why;
  HttpRoutes routes() {
    HttpRoutes r = echo_routes();
    r.add("GET", "/stream", [this](HttpRequest, std::shared_ptr<Responder> out) {
      out->on_disconnect([this](Disconnect d) { why = d; });
      writer = out->begin_stream(200, {});
      writer->write("first");
    });
    r.add("GET", "/waits", [this](HttpRequest, std::shared_ptr<Responder> out) {
      out->on_disconnect([this, out](Disconnect d) { why = d; });
    });
    return r;
  }
};

TEST_CASE("header floods get 431") {
  ServerFixture s(echo_routes(), tight());
  SECTION("one huge field") {
    RawClient c(s.port());
    c.send("GET /hello HTTP/1.1\r\nHost: x\r\nA: " + std::string(100'000, 'a'));
    CHECK_THAT(c.read_all(), StartsWith("HTTP/1.1 431 ") && Contains("header_too_large"));
  }
  SECTION("many small fields") {
    RawClient c(s.port());
    std::string q = "GET /hello HTTP/1.1\r\nHost: x\r\n";
    for (int i = 0; i < 10'000; ++i) q += "a: b\r\n";
    c.send(q);
    CHECK_THAT(c.read_all(), StartsWith("HTTP/1.1 431 "));
  }
  SECTION("an endless request line") {
    RawClient c(s.port());
    c.send("GET /" + std::string(50'000, 'a'));
    CHECK_THAT(c.read_all(), StartsWith("HTTP/1.1 431 "));
  }
  CHECK(s.stats().bad_requests == 1);
}

TEST_CASE("bodies over the bound get 413, declared or chunked") {
  ServerFixture s(echo_routes(), tight());
  RawClient a(s.port());
  a.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10001\r\n\r\n");
  CHECK_THAT(a.read_all(), StartsWith("HTTP/1.1 413 ") && Contains("body_too_large"));
  RawClient b(s.port());
  std::string q = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 2000; ++i) q += "10\r\n0123456789abcdef\r\n";
  b.send(q);
  CHECK_THAT(b.read_all(), StartsWith("HTTP/1.1 413 "));
  RawClient huge(s.port());
  huge.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n");
  CHECK_THAT(huge.read_all(), StartsWith("HTTP/1.1 413 ") || StartsWith("HTTP/1.1 400 "));
  RawClient exact(s.port());
  exact.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n" + std::string(10'000, 'x'));
  CHECK_THAT(exact.read_response(), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("slow loris: a header or body that trickles gets 408; a silent connection is closed") {
  ServerFixture s(echo_routes(), tight());
  RawClient header(s.port());
  header.send("GET /hello HTTP/1.1\r\nHost: x\r\n");
  for (int i = 0; i < 15 && header.send("a"); ++i) std::this_thread::sleep_for(30ms);
  CHECK_THAT(header.read_all(), StartsWith("HTTP/1.1 408 ") && Contains("request_timeout"));
  RawClient body(s.port());
  body.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  CHECK_THAT(body.read_all(), StartsWith("HTTP/1.1 408 "));
  RawClient silent(s.port());
  CHECK(silent.read_all().empty());
  RawClient idle(s.port());
  idle.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  idle.read_response();
  CHECK(idle.read_some().empty());
  CHECK(s.stats().read_timeouts == 4);
  CHECK(s.eventually([](const HttpServerStats& st) { return st.open == 0; }));
}

TEST_CASE("a head that trickles is read ever more rarely, and is still a request when it is whole") {
  ServerFixture s(echo_routes());
  RawClient c(s.port());
  c.send("GET /hello HTTP/1.1\r\n");
  std::uint64_t sent = 21;
  for (int i = 0; i < 30; ++i) {
    c.send("a: b\r\n");
    sent += 6;
    std::this_thread::sleep_for(10ms);
  }
  CHECK(s.stats().bytes_in < sent);  // 300 ms: pauses of 100 and 200 ms have begun
  c.send("Host: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  for (int i = 0; i < 2; ++i) CHECK_THAT(c.read_response(), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("bytes that are not HTTP get 400 and a close") {
  ServerFixture s(echo_routes(), tight());
  for (std::string junk :
       {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 client hello\r\n\r\n"), std::string("GET\r\n\r\n"),
        std::string("GET /hello\r\n\r\n"), std::string("\0\0\0\0\r\n\r\n", 8),
        std::string("GET /hello HTTP/1.1\r\nHost x\r\n\r\n"), std::string("GET hello HTTP/1.1\r\nHost: x\r\n\r\n"),
        std::string("GET /hello HTTP/1.1\r\n\r\n"), std::string("GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
        std::string("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        std::string("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        std::string(
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        std::string("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}) {
    RawClient c(s.port());
    c.send(junk);
    auto r = c.read_all();
    INFO(junk);
    CHECK_THAT(r, StartsWith("HTTP/1.1 400 ") && Contains("connection: close"));
  }
  RawClient two(s.port());
  two.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  CHECK_THAT(two.read_all(), StartsWith("HTTP/1.1 505 ") || StartsWith("HTTP/1.1 400 "));
  // Deterministic noise: whatever it is, the server lives.
  std::uint32_t x = 1;
  for (int round = 0; round < 100; ++round) {
    RawClient c(s.port());
    std::string noise = round % 2 ? "POST /echo HTTP/1.1\r\nHost: x\r\n" : "";
    for (int i = 0; i < 200; ++i) noise += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
    c.send(noise + "\r\n\r\n");
  }
  RawClient c(s.port());
  c.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(c.read_response(), StartsWith("HTTP/1.1 200 "));
}

// A body whose end nobody could tell was left in the stream and answered as the client's next request.
TEST_CASE("a body in another transfer coding is refused, and what follows it is never a request") {
  ServerFixture s(echo_routes(), tight());
  for (const char* coding :
       {"xchunked", "gzip", "chunked, gzip", "gzip, chunked", "identity", "chunked, chunked", ""}) {
    CAPTURE(coding);
    RawClient c(s.port());
    c.send(
        fmt::format("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {}\r\n\r\n"
                    "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
                    coding));
    const auto r = c.read_all();
    CHECK_THAT(r, StartsWith("HTTP/1.1 501 ") || StartsWith("HTTP/1.1 400 "));
    CHECK_THAT(r, Contains("connection: close"));
    CHECK(r.find("HTTP/1.1 ", 1) == std::string::npos);
  }
  RawClient two(s.port());
  two.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  CHECK_THAT(two.read_all(), StartsWith("HTTP/1.1 501 ") || StartsWith("HTTP/1.1 400 "));
  RawClient good(s.port());
  good.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
  CHECK_THAT(good.read_response(), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("a client that leaves while an answer streams is noticed without a write") {
  OpenStream stream;
  ServerFixture s(stream.routes());
  for (bool reset : {false, true}) {
    RawClient c(s.port());
    c.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    c.read_until("first\r\n");
    reset ? c.reset() : c.close();
    REQUIRE(s.eventually([&](const HttpServerStats&) { return stream.why.has_value(); }));
    s.on_io([&] {
      CHECK(stream.why == Disconnect::client_closed);
      CHECK(stream.writer->closed());
      stream.writer->write("into the void");
      stream.writer->finish();
      stream.writer.reset();
      stream.why.reset();
    });
  }
  CHECK(s.stats().client_closed == 2);
  CHECK(s.eventually([](const HttpServerStats& st) { return st.open == 0 && st.active == 0; }));
}

TEST_CASE("a client that leaves before any answer is noticed too, and pipelined bytes do not hide it") {
  OpenStream stream;
  ServerFixture s(stream.routes());
  RawClient c(s.port());
  c.send("GET /waits HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(s.eventually([](const HttpServerStats& st) { return st.active == 1; }));
  c.close();
  REQUIRE(s.eventually([&](const HttpServerStats&) { return stream.why.has_value(); }));
  CHECK(s.eventually([](const HttpServerStats& st) { return st.open == 0; }));
  CHECK(s.exchanges().back().cut == Disconnect::client_closed);
  CHECK(s.stats().requests == 1);
}

TEST_CASE("a request followed by a half-close is still answered when the answer is at hand") {
  ServerFixture s(echo_routes());
  RawClient c(s.port());
  c.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  c.shutdown_send();
  auto all = c.read_all();
  CHECK(std::count(all.begin(), all.end(), 'H') >= 2);
  CHECK_THAT(all, Catch::EndsWith("hello"));
}

TEST_CASE("a reader slower than its stream is cut off at the buffer bound") {
  OpenStream stream;
  auto o = tight();
  o.write_timeout = 10s;
  ServerFixture s(stream.routes(), o);
  RawClient c(s.port(), 4096);
  c.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  c.read_until("first\r\n");
  std::string piece(8192, 'p');
  std::size_t written = 0;
  while (written < (64 << 20) && !s.on_io([&] { return stream.writer->closed(); })) {
    s.on_io([&] { stream.writer->write(piece); });
    written += piece.size();
  }
  CHECK(written < (64 << 20));
  REQUIRE(s.eventually([&](const HttpServerStats&) { return stream.why.has_value(); }));
  s.on_io([&] {
    CHECK(stream.why == Disconnect::slow_reader);
    stream.writer.reset();
  });
  CHECK(s.stats().slow_readers == 1);
}

TEST_CASE("a reader that stops reading altogether is cut off by the write timeout") {
  HttpRoutes routes;
  routes.add("GET", "/big",
             [](HttpRequest, std::shared_ptr<Responder> out) { out->respond({200, {}, std::string(64 << 20, 'b')}); });
  ServerFixture s(std::move(routes), tight());
  RawClient c(s.port(), 4096);
  c.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(s.eventually([](const HttpServerStats& st) { return st.slow_readers == 1 && st.open == 0; }));
  CHECK(s.exchanges().back().cut == Disconnect::slow_reader);
}

TEST_CASE("destroying the server under load cuts everyone and leaks no one") {
  OpenStream stream;
  std::vector<std::unique_ptr<RawClient>> clients;
  {
    ServerFixture s(stream.routes());
    for (int i = 0; i < 10; ++i) {
      clients.push_back(std::make_unique<RawClient>(s.port()));
      clients.back()->send(i % 2 ? "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
                                 : "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Le");
      if (i % 2) clients.back()->read_until("first\r\n");
      s.on_io([&] { stream.writer.reset(); });
    }
  }
  for (auto& c : clients) c->read_all();
}

}  // namespace
}  // namespace sluice::test
