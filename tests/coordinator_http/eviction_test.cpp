// A server whose seats are all taken: who has to go, and who never does.
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/server_fixture.h"

namespace sluice::test {
namespace {

using Catch::Contains;
using Catch::StartsWith;

const std::string kHello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

HttpServerOptions of(std::size_t connections) {
  return {.max_connections = connections, .idle_timeout = 1min, .header_timeout = 1min, .body_timeout = 1min};
}

/// Routes with one whose answers the test gives.
struct Held {
  std::vector<std::shared_ptr<Responder>> held;
  HttpRoutes routes() {
    HttpRoutes r = echo_routes();
    r.add("GET", "/held", [this](HttpRequest, std::shared_ptr<Responder> out) { held.push_back(std::move(out)); });
    return r;
  }
};

// 2,000 clients that never completed a head kept everybody else out for as long as they liked.
TEST_CASE("slow clients, more than there are seats, lock nobody out") {
  ServerFixture s(echo_routes(), of(100));
  std::vector<std::unique_ptr<RawClient>> slow;
  const auto more = [&](int n) {
    for (int i = 0; i < n; ++i) {
      slow.push_back(std::make_unique<RawClient>(s.port()));
      slow.back()->send(i % 2 ? "GET /hello HTTP/1.1\r\nHost: x\r\nA: " : "");
    }
  };
  for (int round = 0; round < 4; ++round) {
    more(100);
    RawClient c(s.port());
    c.send(kHello);
    CHECK_THAT(c.read_response(), StartsWith("HTTP/1.1 200 "));
    for (auto& each : slow) each->send("a");
  }
  const auto st = s.stats();
  CHECK(st.refused == 0);
  CHECK(st.evicted >= 300);
  CHECK(s.eventually([](const HttpServerStats& now) { return now.open <= 100; }));
}

TEST_CASE("the client that holds most goes first; those who are answered stay") {
  Held h;
  ServerFixture s(h.routes(), of(6));
  RawClient answered(s.port(), 0, "127.0.0.9");
  answered.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(s.eventually([&](const HttpServerStats&) { return h.held.size() == 1; }));
  RawClient neighbour(s.port(), 0, "127.0.0.2");  // kept alive, and the longest
  neighbour.send(kHello);
  neighbour.read_response();
  std::vector<std::unique_ptr<RawClient>> crowd;
  for (int i = 0; i < 4; ++i) {
    crowd.push_back(std::make_unique<RawClient>(s.port(), 0, "127.0.0.3"));
    REQUIRE(s.eventually([&](const HttpServerStats& st) { return st.accepted == 3 + static_cast<std::size_t>(i); }));
  }
  RawClient fresh(s.port(), 0, "127.0.0.4");
  fresh.send(kHello);
  CHECK_THAT(fresh.read_response(), StartsWith("HTTP/1.1 200 "));
  neighbour.send(kHello);
  CHECK_THAT(neighbour.read_response(), StartsWith("HTTP/1.1 200 "));
  std::vector<bool> stayed;
  for (const auto& c : crowd) stayed.push_back(c->send(kHello) && c->read_response().starts_with("HTTP/1.1 200 "));
  CHECK(std::ranges::count(stayed, true) == 3);
  if (front_threads() == 1) CHECK_FALSE(stayed[0]);  // the oldest; of several threads, of one with the most
  s.on_io([&] { h.held[0]->respond({200, {}, "at last"}); });
  CHECK_THAT(answered.read_response(), Catch::EndsWith("at last"));
  CHECK(s.stats().evicted == 1);
  s.on_io([&] { h.held.clear(); });
}

TEST_CASE("a body that trickles makes room, one that flows does not") {
  ServerFixture s(echo_routes(), of(2));
  const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
  RawClient flows(s.port()), trickles(s.port());
  flows.send(head);
  trickles.send(head);
  REQUIRE(s.eventually([](const HttpServerStats& st) { return st.requests == 2; }));
  // Within its first second nobody calls it slow.
  RawClient early(s.port());
  CHECK_THAT(early.read_all(), StartsWith("HTTP/1.1 503 "));
  for (int i = 0; i < 12; ++i) {
    flows.send(std::string(8192, 'x'));
    trickles.send("x");
    std::this_thread::sleep_for(100ms);
  }
  RawClient fresh(s.port());
  fresh.send(kHello);
  CHECK_THAT(fresh.read_response(), StartsWith("HTTP/1.1 200 "));
  CHECK(trickles.read_all().empty());
  flows.send(std::string(100'000 - 12 * 8192, 'x'));
  CHECK_THAT(flows.read_response(), StartsWith("HTTP/1.1 200 "));
  CHECK(s.stats().evicted == 1);
}

TEST_CASE("when all are being answered, one more is turned away with 503 and a hint") {
  Held h;
  ServerFixture s(h.routes(), of(2));
  RawClient a(s.port()), b(s.port());
  for (auto* c : {&a, &b}) c->send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(s.eventually([&](const HttpServerStats&) { return h.held.size() == 2; }));
  RawClient c(s.port());
  CHECK_THAT(c.read_all(), StartsWith("HTTP/1.1 503 ") && Contains("retry-after: 1\r\n") && Contains("\r\ndate: "));
  CHECK(s.stats().refused == 1);
  CHECK(s.stats().evicted == 0);
  s.on_io([&] {
    h.held[0]->respond({200, {}, "done"});
    h.held[1]->respond({200, {}, "done"});
    h.held.clear();
  });
  CHECK_THAT(a.read_response(), StartsWith("HTTP/1.1 200 "));
  // It left a trace as every refusal does.
  const auto all = s.exchanges();
  const auto refused = std::ranges::find(all, 503, &HttpExchange::status);
  REQUIRE(refused != all.end());
  CHECK(refused->code == "too_many_connections");
  CHECK(refused->route == "-");
  CHECK_THAT(refused->peer, StartsWith("127.0.0.1:"));
  // Kept alive, a makes room now.
  RawClient d(s.port());
  d.send(kHello);
  CHECK_THAT(d.read_response(), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("out of descriptors, those that wait make room") {
  ServerFixture s(echo_routes(), of(10'000));
  RawClient idle(s.port());
  REQUIRE(s.eventually([](const HttpServerStats& st) { return st.open == 1; }));
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  RawClient fresh(s.port());
  REQUIRE(s.eventually([](const HttpServerStats& st) { return st.open == 2; }));
  // One descriptor is left, for the client's own end.
  const int next_free = ::dup(0);
  ::close(next_free);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next_free) + 1;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  {
    RawClient last(s.port());
    last.send(kHello);
    CHECK_THAT(last.read_response(), StartsWith("HTTP/1.1 200 "));
  }
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(s.stats().evicted >= 1);
  CHECK(idle.read_all().empty());
}

}  // namespace
}  // namespace sluice::test
