// Clients that end their sending: some still read (a half close), some are gone, and a FIN does not tell which.
#include "tests/support/server_fixture.h"

namespace sluice::test {
namespace {

using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;

constexpr std::string_view kInterim = "HTTP/1.1 100 Continue\r\n\r\n";

/// Routes whose answers the test gives.
struct Late {
  std::shared_ptr<Responder> responder;
  std::shared_ptr<StreamWriter> writer;
  std::optional<Disconnect> why;

  HttpRoutes routes() {
    HttpRoutes r = echo_routes();
    const auto take = [this](std::shared_ptr<Responder> out) {
      out->on_disconnect([this](Disconnect d) { why = d; });
      responder = std::move(out);
    };
    r.add("GET", "/late", [take](HttpRequest, std::shared_ptr<Responder> out) { take(std::move(out)); });
    r.add("GET", "/plain", [this, take](HttpRequest, std::shared_ptr<Responder> out) {
      take(out);
      writer = out->begin_stream(200, {});
      writer->write("first ");
    });
    r.add("GET", "/events", [this, take](HttpRequest, std::shared_ptr<Responder> out) {
      take(out);
      out->keep_alive(": still here\n\n", [] {});
      writer = out->begin_stream(200, {{"content-type", "text/event-stream"}});
      writer->write("data: first\n\n");
    });
    return r;
  }
  void reset() {
    responder.reset();
    writer.reset();
    why.reset();
  }
};

std::string get(std::string_view path, std::string_view version = "1.1") {
  return fmt::format("GET {} HTTP/{}\r\nHost: x\r\n\r\n", path, version);
}

/// All that comes. Answers of another thread come a moment after their request, so that a client may be asked first.
std::string all_of(RawClient& c) {
  std::string all = c.read_all();
  for (std::size_t at = 0; front_threads() > 1 && (at = all.find(kInterim)) != std::string::npos;)
    all.erase(at, kInterim.size());
  return all;
}

HttpServerOptions options() { return {.half_close_grace = 300ms}; }

TEST_CASE("a half-closed client gets its whole answer, however late") {
  Late l;
  ServerFixture s(l.routes(), options());
  RawClient c(s.port());
  c.send(get("/late"));
  c.shutdown_send();
  // It is asked at once, once, and says nothing; a second request would be asked for in vain.
  CHECK(c.read_until("\r\n\r\n") == kInterim);
  std::this_thread::sleep_for(700ms);
  s.on_io([&] {
    CHECK_FALSE(l.why);
    l.responder->respond({200, {}, "late"});
  });
  CHECK_THAT(c.read_all(),
             StartsWith("HTTP/1.1 200 ") && EndsWith("\r\n\r\nlate") && Contains("connection: close\r\n"));
  CHECK_FALSE(s.exchanges().at(0).cut);
  s.on_io([&] { l.reset(); });
}

TEST_CASE("so do those behind it in the pipeline") {
  Late l;
  ServerFixture s(l.routes(), options());
  RawClient c(s.port());
  c.send(get("/late") + get("/hello"));
  c.shutdown_send();
  CHECK(c.read_until("\r\n\r\n") == kInterim);
  std::this_thread::sleep_for(400ms);
  s.on_io([&] { l.responder->respond({200, {}, "late"}); });
  const auto all = all_of(c);
  CHECK_THAT(all, Contains("\r\n\r\nlateHTTP/1.1 200 ") && EndsWith("hello"));
  s.on_io([&] { l.reset(); });
}

TEST_CASE("a half-closed reader of events gets all of them") {
  Late l;
  ServerFixture s(l.routes(), options());
  RawClient c(s.port());
  c.send(get("/events"));
  c.read_until("first\n\n\r\n");
  c.shutdown_send();
  CHECK_THAT(c.read_until("\n\n\r\n"), EndsWith(": still here\n\n\r\n"));
  std::this_thread::sleep_for(700ms);
  s.on_io([&] {
    CHECK_FALSE(l.why);
    l.writer->write("data: second\n\n");
    l.writer->finish();
  });
  CHECK_THAT(c.read_all(), Contains("data: second\n\n") && EndsWith("0\r\n\r\n"));
  s.on_io([&] { l.reset(); });
}

TEST_CASE("a client that is gone answers the question by a reset, before and in its answer") {
  Late l;
  ServerFixture s(l.routes(), {.half_close_grace = 1h});
  for (const auto* path : {"/late", "/events"}) {
    CAPTURE(path);
    RawClient c(s.port());
    c.send(get(path));
    if (path == std::string_view("/events")) c.read_until("first\n\n\r\n");
    REQUIRE(s.eventually([&](const HttpServerStats&) { return l.responder != nullptr; }));
    const auto left = std::chrono::steady_clock::now();
    c.close();
    REQUIRE(s.eventually([&](const HttpServerStats&) { return l.why.has_value(); }));
    CHECK(std::chrono::steady_clock::now() - left < 2s);
    s.on_io([&] {
      CHECK(l.why == Disconnect::client_closed);
      l.reset();
    });
  }
  CHECK(s.stats().client_closed == 2);
}

TEST_CASE("where nothing harmless can be said, FIN means gone, after a grace") {
  Late l;
  ServerFixture s(l.routes(), {.half_close_grace = 2s});  // a stalled machine must not make the first answer late
  const auto [path, version] = GENERATE(table<const char*, const char*>({{"/late", "1.0"}, {"/plain", "1.1"}}));
  CAPTURE(path);
  const auto answer = [&] {
    if (l.writer) {
      l.writer->write("last");
      return l.writer->finish();
    }
    l.responder->respond({200, {}, "last"});
  };
  {
    RawClient in_time(s.port());
    in_time.send(get(path, version));
    in_time.shutdown_send();
    REQUIRE(s.eventually([&](const HttpServerStats&) { return l.responder != nullptr; }));
    std::this_thread::sleep_for(100ms);
    s.on_io(answer);
    CHECK_THAT(all_of(in_time), StartsWith("HTTP/1.1 200 ") && Contains("last"));
    s.on_io([&] { l.reset(); });
  }
  RawClient late(s.port());
  late.send(get(path, version));
  late.shutdown_send();
  REQUIRE(s.eventually([&](const HttpServerStats&) { return l.why.has_value(); }));
  CHECK_THAT(late.read_all(), !Contains("last"));
  s.on_io([&] { l.reset(); });
  CHECK(s.stats().client_closed == 1);
}

TEST_CASE("a half-closed client that leaves with its answer unread is noticed") {
  Late l;
  ServerFixture s(l.routes(), {.half_close_grace = 1h});
  RawClient c(s.port());
  c.send(get("/late"));
  c.shutdown_send();
  REQUIRE(s.eventually([&](const HttpServerStats& st) { return l.responder != nullptr && st.bytes_out > 0; }));
  std::this_thread::sleep_for(100ms);
  c.close();  // with the interim response unread: a reset
  CHECK(s.eventually([&](const HttpServerStats&) { return l.why == Disconnect::client_closed; }));
  s.on_io([&] { l.reset(); });
}

}  // namespace
}  // namespace sluice::test
