// Streams that are silent for long: comments keep proxies from giving up on them.
#include "tests/support/server_fixture.h"

namespace sluice::test {
namespace {

using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;

constexpr std::string_view kComment = ": ping\n\n";
const std::string kChunk = "8\r\n: ping\n\n\r\n";

struct Silent {
  std::shared_ptr<Responder> responder;
  std::shared_ptr<StreamWriter> writer;
  bool stream = true;
  int begun = 0;

  HttpRoutes routes() {
    HttpRoutes r = echo_routes();
    r.add("GET", "/silent", [this](HttpRequest, std::shared_ptr<Responder> out) {
      responder = out;
      out->keep_alive(std::string(kComment), [this] {
        ++begun;
        if (stream) begin();
      });
    });
    return r;
  }
  void begin() {
    if (!writer) writer = responder->begin_stream(200, {{"content-type", "text/event-stream"}});
  }
  void reset() {
    responder.reset();
    writer.reset();
  }
};

const std::string kGet = "GET /silent HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_CASE("a stream that waits for its first event is begun and kept alive, and so it is between events") {
  Silent t;
  ServerFixture s(t.routes(), {.stream_keepalive = 100ms});
  RawClient c(s.port());
  const auto asked = std::chrono::steady_clock::now();
  c.send(kGet);
  CHECK_THAT(c.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 ") && Contains("text/event-stream"));
  CHECK(std::chrono::steady_clock::now() - asked >= 100ms);
  CHECK(c.read_until("\n\n\r\n") == kChunk);
  CHECK(c.read_until("\n\n\r\n") == kChunk);
  s.on_io([&] { t.writer->write("data: 1\n\n"); });
  std::string between = c.read_until("data: 1\n\n\r\n");
  CHECK(c.read_until("\n\n\r\n") == kChunk);
  s.on_io([&] { t.writer->finish(); });
  CHECK_THAT(c.read_until("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
  CHECK(t.begun == 1);
  // The connection stays, and its next answer is kept alive only if it asks.
  c.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(c.read_response(), EndsWith("hello"));
  s.on_io([&] { t.reset(); });
}

TEST_CASE("an answer within the interval has its own status and no comment") {
  Silent t;
  ServerFixture s(t.routes(), {.stream_keepalive = 2s});
  RawClient c(s.port());
  c.send(kGet);
  REQUIRE(s.eventually([&](const HttpServerStats&) { return t.responder != nullptr; }));
  s.on_io([&] { t.responder->respond({429, {}, "full"}); });
  CHECK_THAT(c.read_response(), StartsWith("HTTP/1.1 429 ") && EndsWith("full"));
  s.on_io([&] { t.reset(); });
  CHECK(t.begun == 0);
}

TEST_CASE("events that come often enough leave no room for comments") {
  Silent t;
  ServerFixture s(t.routes(), {.stream_keepalive = 1s});
  RawClient c(s.port());
  c.send(kGet);
  REQUIRE(s.eventually([&](const HttpServerStats&) { return t.responder != nullptr; }));
  s.on_io([&] { t.begin(); });
  for (int i = 0; i < 30; ++i) {
    s.on_io([&] { t.writer->write("data: x\n\n"); });
    std::this_thread::sleep_for(50ms);
  }
  s.on_io([&] { t.writer->finish(); });
  CHECK_THAT(c.read_until("0\r\n\r\n"), !Contains("ping"));
  CHECK(t.begun == 0);
  s.on_io([&] { t.reset(); });
}

TEST_CASE("0 turns it off, and a handler that begins nothing is left in peace") {
  Silent t;
  const bool off = GENERATE(true, false);
  t.stream = off;
  ServerFixture s(t.routes(), {.stream_keepalive = off ? 0ms : 50ms});
  RawClient c(s.port());
  c.send(kGet);
  REQUIRE(s.eventually([&](const HttpServerStats&) { return t.responder != nullptr; }));
  std::this_thread::sleep_for(300ms);
  s.on_io([&] {
    CHECK(t.begun == (off ? 0 : 1));
    t.responder->respond({200, {}, "whole"});
  });
  CHECK_THAT(c.read_response(), EndsWith("\r\n\r\nwhole") && !Contains("ping"));
  s.on_io([&] { t.reset(); });
}

TEST_CASE("a client that leaves a silent stream is noticed by its comments") {
  Silent t;
  ServerFixture s(t.routes(), {.stream_keepalive = 50ms});
  RawClient c(s.port());
  c.send(kGet);
  c.read_until("ping");
  c.close();
  CHECK(s.eventually([](const HttpServerStats& st) { return st.client_closed == 1 && st.open == 0; }));
  s.on_io([&] { t.reset(); });
}

TEST_CASE("a HEAD of such a stream gets no comment and costs no turn") {
  Silent t;
  ServerFixture s(t.routes(), {.stream_keepalive = 50ms});
  RawClient c(s.port());
  c.send("HEAD /silent HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(c.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  std::this_thread::sleep_for(200ms);
  s.on_io([&] { t.writer->finish(); });
  c.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(c.read_response(), StartsWith("HTTP/1.1 200 ") && EndsWith("hello"));
  s.on_io([&] { t.reset(); });
}

}  // namespace
}  // namespace sluice::test
