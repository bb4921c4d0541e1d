// HTTP over TLS: the same server, whose clients shake hands first.
#include "common/http/client.h"
#include "tests/support/certificates.h"
#include "tests/support/server_fixture.h"

namespace sluice::test {
namespace {

using Catch::Contains;

std::shared_ptr<tls::Source> shown(const Certificates& c, bool demand = false) {
  return or_throw(tls::Source::open(
      {tls::Side::server, {c["coordinator.pem"], c["coordinator.key"], demand ? c["ca.pem"] : ""}}, "test"));
}
HttpServerOptions over_tls(const Certificates& c) { return {.max_connections = 100, .tls = shown(c)}; }

std::shared_ptr<const tls::Context> believing(const Certificates& c, const std::string& own = {}) {
  tls::Files f{.ca = c["ca.pem"]};
  if (!own.empty()) f.cert = c[own + ".pem"], f.key = c[own + ".key"];
  return or_throw(tls::Context::load({tls::Side::client, f}));
}

Result<http::ClientResponse> ask(const ServerFixture& s, std::shared_ptr<const tls::Context> tls,
                                 const std::string& host = "localhost") {
  http::ClientRequest q;
  q.address = host + ":" + std::to_string(s.port());
  q.target = "/hello";
  q.tls = std::move(tls);
  q.timeout = 5s;
  return http::request(q);
}

TEST_CASE("a request over TLS is answered") {
  const Certificates c;
  ServerFixture s(echo_routes(), over_tls(c));
  const auto r = ask(s, believing(c));
  REQUIRE(r);
  CHECK(r->body == "hello");
}

TEST_CASE("a large body goes both ways over TLS") {
  const Certificates c;
  ServerFixture s(echo_routes(), over_tls(c));
  http::ClientRequest q;
  q.address = "127.0.0.1:" + std::to_string(s.port());
  q.method = "POST";
  q.target = "/echo";
  q.body = std::string(3'000'000, 'x');
  q.tls = believing(c);
  const auto r = http::request(q);
  REQUIRE(r);
  CHECK(r->body == q.body);
}

TEST_CASE("a client believes neither another authority nor another host") {
  const Certificates c, others;
  ServerFixture s(echo_routes(), over_tls(c));
  CHECK_THAT(ask(s, believing(others)).error().message, Contains("not believed"));
  const Certificates elsewhere("example.org");
  ServerFixture t(echo_routes(), over_tls(elsewhere));
  CHECK_THAT(ask(t, believing(elsewhere)).error().message, Contains("hostname mismatch") || Contains("mismatch"));
}

TEST_CASE("where certificates are demanded, only those of the authority get in") {
  const Certificates c, others;
  ServerFixture s(echo_routes(), {.tls = shown(c, true)});
  CHECK(ask(s, believing(c, "client")));
  CHECK_FALSE(ask(s, believing(c)));
  tls::Files f{others["client.pem"], others["client.key"], c["ca.pem"]};
  CHECK_FALSE(ask(s, or_throw(tls::Context::load({tls::Side::client, f}))));
  CHECK(s.eventually([](const HttpServerStats& st) { return st.handshake_failures >= 2 && st.requests == 1; }));
}

TEST_CASE("a plain client at a TLS port, and a TLS client at a plain one, get an error, and others an answer") {
  const Certificates c;
  ServerFixture secure(echo_routes(), over_tls(c));
  ServerFixture plain(echo_routes());
  CHECK_FALSE(ask(secure, nullptr));
  CHECK_FALSE(ask(plain, believing(c)));
  CHECK(ask(secure, believing(c)));
  CHECK(ask(plain, nullptr));
}

// 2,000 half-open handshakes were to lock nobody out.
TEST_CASE("handshakes that are never completed lock nobody out") {
  const Certificates c;
  ServerFixture s(echo_routes(), over_tls(c));
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 100; ++i) {
      slow.push_back(std::make_unique<RawClient>(s.port()));
      slow.back()->send(i % 2 ? std::string("\x16\x03\x01\x02", 4) : "");
    }
    CHECK(ask(s, believing(c)));
  }
  CHECK(s.stats().evicted >= 300);
  CHECK(s.stats().refused == 0);
}

TEST_CASE("a handshake has the time that a header has") {
  const Certificates c;
  HttpServerOptions o = over_tls(c);
  o.header_timeout = 200ms;
  ServerFixture s(echo_routes(), o);
  RawClient silent(s.port());
  CHECK(silent.read_all().empty());
  CHECK(s.eventually([](const HttpServerStats& st) { return st.handshake_failures == 1 && st.open == 0; }));
}

TEST_CASE("new certificates are shown to new connections") {
  Certificates c;
  auto source = shown(c);
  ServerFixture s(echo_routes(), {.tls = source});
  CHECK(ask(s, believing(c)));
  Certificates next;
  for (const char* file : {"coordinator.pem", "coordinator.key"})
    std::filesystem::copy_file(next[file], c[file], std::filesystem::copy_options::overwrite_existing);
  CHECK(s.on_io([&] { return source->refresh(); }));
  CHECK_FALSE(ask(s, believing(c)));
  CHECK(ask(s, believing(next)));
}

}  // namespace
}  // namespace sluice::test
