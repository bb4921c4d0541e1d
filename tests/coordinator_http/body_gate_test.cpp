// Large bodies wait unread when their client has enough in the house. The incident: eight connections of one client
// posted bodies of 15 MB each; every one was read to its end before it was refused, and reading took the one thread.
#include "coordinator/http/body_gate.h"

#include "coordinator/http/pace.h"
#include "tests/support/server_fixture.h"

namespace sluice::test {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using Ids = std::vector<BodyTurns::Id>;

TEST_CASE("a client over its bound waits, and lets others pass") {
  BodyTurns turns({.client_bytes = 20, .total_bytes = 50});
  turns.enter(1, "a", 15);
  turns.enter(2, "a", 10);
  turns.enter(3, "b", 10);
  CHECK(turns.inside(1));
  CHECK_FALSE(turns.inside(2));
  CHECK(turns.inside(3));
  CHECK(turns.admitted().empty());  // nobody came in who had waited
  turns.leave(1);
  CHECK(turns.admitted() == Ids{2});
  CHECK(turns.bytes() == 20);
  // More than the bound is let in alone.
  turns.enter(4, "a", 1000);
  CHECK_FALSE(turns.inside(4));
  turns.leave(2);
  CHECK(turns.admitted() == Ids{4});
  turns.enter(5, "a", 1);
  CHECK_FALSE(turns.inside(5));
  turns.shrink(4, 19);
  CHECK(turns.admitted() == Ids{5});
  turns.shrink(4, 1000);
  CHECK(turns.bytes() == 30);
  for (const BodyTurns::Id id : {3, 4, 5, 6}) turns.leave(id);
  CHECK(turns.bytes() == 0);
}

TEST_CASE("one that fits its own bound and not the common one is not starved by smaller ones") {
  BodyTurns turns({.client_bytes = 40, .total_bytes = 50});
  turns.enter(1, "a", 40);
  turns.enter(2, "b", 20);
  turns.enter(3, "c", 5);
  CHECK_FALSE(turns.inside(2));
  CHECK_FALSE(turns.inside(3));
  turns.leave(2);  // it gave up
  CHECK(turns.admitted() == Ids{3});
  CHECK(turns.waiting() == 0);
}

TEST_CASE("what is thrown away is read at a pace") {
  Pace pace(1000, 100ms);
  const TimePoint t{1000s};
  CHECK(pace.charge(100, t) == t);  // the burst
  CHECK(pace.charge(50, t) == t + 50ms);
  CHECK(pace.charge(50, t) == t + 100ms);
  CHECK(pace.charge(100, t + 1h) == t + 1h);
}

/// POST /keep holds requests until the test drops them.
struct Keeper {
  std::vector<std::pair<HttpRequest, std::shared_ptr<Responder>>> kept;
  HttpRoutes routes() {
    HttpRoutes r = echo_routes();
    r.add("POST", "/keep",
          [this](HttpRequest q, std::shared_ptr<Responder> out) { kept.emplace_back(std::move(q), std::move(out)); });
    return r;
  }
};

constexpr std::size_t kMost = std::size_t{1} << 20;
const std::string kLarge(kMost, 'x');

HttpServerOptions few(Duration patience) {
  return {.max_body_bytes = kMost, .bodies_of_client = 2, .bodies_in_all = 3, .body_timeout = patience};
}

std::string head(std::size_t length, const std::string& path = "/keep") {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

TEST_CASE("bodies beyond a client's share are not read; small ones and other clients' are") {
  Keeper k;
  ServerFixture s(k.routes(), few(1min));
  const auto kept = [&](std::size_t n) {
    return s.eventually([&](const HttpServerStats&) { return k.kept.size() == n; });
  };
  RawClient a(s.port()), b(s.port()), waits(s.port()), small(s.port()), other(s.port(), 0, "127.0.0.2");
  a.send(head(kMost) + kLarge);
  b.send(head(kMost) + kLarge);
  REQUIRE(kept(2));
  waits.send(head(kMost) + kLarge.substr(0, 200'000));
  small.send(head(1000, "/echo") + std::string(1000, 'x'));
  CHECK_THAT(small.read_response(), StartsWith("HTTP/1.1 200 "));
  small.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  CHECK_THAT(small.read_response(), Contains("abc"));
  other.send(head(kMost) + kLarge);
  REQUIRE(kept(3));
  // Of the one that waits no more was read than fits its box.
  CHECK(s.stats().bytes_in < 3 * kMost + 120'000);

  // Freed on another thread, as workers do.
  auto first = s.on_io([&] { return std::move(k.kept[0].first); });
  std::thread([&first] { first = {}; }).join();
  waits.send(kLarge.substr(200'000));
  REQUIRE(kept(4));
  CHECK(s.on_io([&] { return k.kept[3].first.body == kLarge; }));
  s.on_io([&] { k.kept.clear(); });
}

TEST_CASE("one that waits in vain is told so, and one that leaves gives up its turn") {
  Keeper k;
  ServerFixture s(k.routes(), few(300ms));
  RawClient a(s.port()), b(s.port()), waits(s.port());
  a.send(head(kMost) + kLarge);
  b.send(head(kMost) + kLarge);
  REQUIRE(s.eventually([&](const HttpServerStats&) { return k.kept.size() == 2; }));
  {
    RawClient leaves(s.port());
    leaves.send(head(kMost) + "x");
  }
  waits.send(head(kMost) + "x");
  const auto answer = waits.read_response();
  CHECK_THAT(answer, StartsWith("HTTP/1.1 429 ") && Contains("retry-after: 5") && Contains("connection: close"));
  s.on_io([&] { k.kept.clear(); });
}

}  // namespace
}  // namespace sluice::test
