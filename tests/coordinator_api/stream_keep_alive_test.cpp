// What a client of a stream sees while its first token is long in coming.
#include "coordinator/api/router.h"
#include "tests/support/fake_backend.h"
#include "tests/support/inline_prompts.h"
#include "tests/support/server_fixture.h"

namespace sluice::test {
namespace {

using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;

/// Legs that do nothing until told.
struct Waiting {
  std::shared_ptr<IoThread> io = std::make_shared<IoThread>();
  FakeBackend backend{io->io()};
  InlinePrompts prompts;
  ApiRouter router{backend, prompts};
  std::optional<RequestId> leg;
  ServerFixture server{routes(), {.stream_keepalive = std::chrono::milliseconds(100)}, io};

  HttpRoutes routes() {
    backend.script = [this](FakeBackend&, RequestId id) { leg = id; };
    HttpRoutes r;
    router.add_routes(r);
    return r;
  }
  template <class F>
  void tell(F f) {
    io->on_io([&] { f(backend, *leg); });
  }
};

const std::string kBody = R"({"messages":[{"role":"user","content":"x"}],"stream":true})";
const std::string kAsk =
    fmt::format("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
                kBody.size(), kBody);

TEST_CASE("a stream that waits is opened and kept alive; its first event is the role") {
  Waiting w;
  RawClient c(w.server.port());
  c.send(kAsk);
  CHECK_THAT(c.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 ") && Contains("text/event-stream"));
  CHECK(c.read_until("\n\n\r\n") == "e\r\n: keep-alive\n\n\r\n");
  CHECK(c.read_until("\n\n\r\n") == "e\r\n: keep-alive\n\n\r\n");
  w.tell([](FakeBackend& b, RequestId id) {
    b.say(id, "hi");
    b.finish(id, LegEnd::length);
  });
  const auto rest = c.read_all();
  const auto role = rest.find(R"("role":"assistant")");
  CHECK(role != std::string::npos);
  CHECK(role < rest.find(R"("content":"h")"));
  CHECK(rest.find(R"("role")", role + 1) == std::string::npos);
  CHECK_THAT(rest, EndsWith("data: [DONE]\n\n\r\n0\r\n\r\n"));
}

TEST_CASE("an error after it was opened is an event, one before is a status") {
  Waiting w;
  const bool opened = GENERATE(true, false);
  RawClient c(w.server.port());
  c.send(kAsk);
  if (opened) c.read_until("keep-alive\n\n\r\n");
  REQUIRE(w.io->eventually([&] { return w.leg.has_value(); }));
  w.tell([](FakeBackend& b, RequestId id) { b.fail_leg(id, Error{Errc::resource_exhausted, "no room", {}}); });
  const auto rest = c.read_all();
  CHECK_THAT(rest, Contains(R"("message":"no room")"));
  if (opened)
    CHECK_THAT(rest, Contains("data: {\"error\"") && EndsWith("data: [DONE]\n\n\r\n0\r\n\r\n"));
  else
    CHECK_THAT(rest, StartsWith("HTTP/1.1 429 "));
}

}  // namespace
}  // namespace sluice::test
