#include "common/tls/session.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "common/files.h"
#include "tests/support/certificates.h"

using namespace sluice;
using namespace sluice::tls;
using Catch::Contains;

namespace {

std::shared_ptr<const Context> load(Side side, const test::Certificates& c, const std::string& own,
                                    const std::string& ca) {
  Files f;
  if (!own.empty()) f.cert = c[own + ".pem"], f.key = c[own + ".key"];
  if (!ca.empty()) f.ca = ca;
  return or_throw(Context::load({side, f}));
}

struct Outcome {
  Result<bool> client = false, server = false;
  [[nodiscard]] bool both() const { return client && *client && server && *server; }
  [[nodiscard]] std::string words() const {
    return (client ? "" : client.error().message) + " | " + (server ? "" : server.error().message);
  }
};

/// Carries what each says to the other until neither has anything more to say.
Outcome shake(Session& client, Session& server) {
  Outcome o;
  for (int i = 0; i < 10; ++i) {
    if (o.client && !*o.client) o.client = client.handshake();
    server.feed(client.take_output());
    if (o.server && !*o.server) o.server = server.handshake();
    client.feed(server.take_output());
  }
  // 1.3: the client hears of a refusal only when it reads.
  char byte = 0;
  if (const auto r = client.read(&byte, 1); !r) o.client = std::unexpected(r.error());
  return o;
}

}  // namespace

TEST_CASE("a session carries bytes both ways, and its end") {
  const test::Certificates c;
  Session client(load(Side::client, c, "", c["ca.pem"]), "localhost");
  Session server(load(Side::server, c, "coordinator", ""), "");
  REQUIRE(shake(client, server).both());
  REQUIRE(client.peer());
  CHECK(client.peer()->has_role("coordinator"));
  CHECK_FALSE(server.peer());
  REQUIRE(client.write("hello"));
  server.feed(client.take_output());
  char room[16] = {};
  REQUIRE(server.read(room, sizeof room) == 5U);
  CHECK(std::string(room) == "hello");
  CHECK(server.read(room, sizeof room) == 0U);
  CHECK_FALSE(server.ended());
  client.end();
  server.feed(client.take_output());
  CHECK(server.read(room, sizeof room) == 0U);
  CHECK(server.ended());
  REQUIRE(server.write("still heard"));  // only one direction ended
  client.feed(server.take_output());
  CHECK(client.read(room, sizeof room) == 11U);
}

TEST_CASE("a client believes only the host that it means") {
  const test::Certificates c;
  const auto server_context = load(Side::server, c, "coordinator", "");
  for (const auto& [host, believed] :
       {std::pair{"localhost", true}, {"127.0.0.1", true}, {"example.org", false}, {"127.0.0.2", false}, {"", true}}) {
    INFO(host);
    Session client(load(Side::client, c, "", c["ca.pem"]), host);
    Session server(server_context, "");
    const auto o = shake(client, server);
    CHECK(o.both() == believed);
    if (!believed) CHECK_THAT(o.words(), Contains("not believed") && Contains("mismatch"));
  }
}

TEST_CASE("both ends tell who they are, and a stranger's certificate is refused") {
  const test::Certificates c, strangers;
  const auto server_context = load(Side::server, c, "coordinator", c["ca.pem"]);
  {
    Session client(load(Side::client, c, "decode", c["ca.pem"]), "");
    Session server(server_context, "");
    REQUIRE(shake(client, server).both());
    CHECK(server.peer()->has_role("decode"));
    CHECK_FALSE(server.peer()->has_role("prefill"));
    CHECK_THAT(server.peer()->subject, Contains("CN=decode"));
  }
  {
    INFO("of another authority");
    Session client(load(Side::client, strangers, "decode", c["ca.pem"]), "");
    Session server(server_context, "");
    const auto o = shake(client, server);
    CHECK_FALSE(o.both());
    CHECK_THAT(o.words(), Contains("alert") && Contains("not believed"));
  }
  {
    INFO("none");
    Session client(load(Side::client, c, "", c["ca.pem"]), "");
    Session server(server_context, "");
    CHECK_FALSE(shake(client, server).both());
  }
  {
    INFO("a server of another authority");
    Session client(load(Side::client, c, "decode", strangers["ca.pem"]), "");
    Session server(server_context, "");
    CHECK_FALSE(shake(client, server).both());
  }
}

TEST_CASE("a certificate that has ended is refused") {
  test::Certificates c;
  const std::string again = "cd " + c.path().string() +
                            " && openssl req -new -key decode.key -subj /CN=old -out csr && openssl x509 -req -in csr "
                            "-CA ca.pem -CAkey ca.key -set_serial 7 -days -1 -out decode.pem 2>/dev/null";
  REQUIRE(std::system(again.c_str()) == 0);
  Session client(load(Side::client, c, "decode", c["ca.pem"]), "");
  Session server(load(Side::server, c, "coordinator", c["ca.pem"]), "");
  const auto o = shake(client, server);
  CHECK_FALSE(o.both());
  CHECK_THAT(o.words(), Contains("expired"));
}

TEST_CASE("a revoked certificate is refused, by either end") {
  test::Certificates c;
  c.revoke("");
  const auto with_list = [&](Side side, const std::string& own) {
    return or_throw(Context::load({side, {c[own + ".pem"], c[own + ".key"], c["ca.pem"], c["crl.pem"]}}));
  };
  const auto meet = [&] {
    Session client(with_list(Side::client, "decode"), "");
    Session server(with_list(Side::server, "coordinator"), "");
    return shake(client, server);
  };
  CHECK(meet().both());  // nobody is on the list
  c.revoke("prefill");
  CHECK(meet().both());  // another is
  c.revoke("decode");
  {
    const auto o = meet();
    CHECK_FALSE(o.both());
    CHECK_THAT(o.words(), Contains("not believed") && Contains("revoked"));
  }
  c.renew("decode");  // the role's next certificate is another
  CHECK(meet().both());
  c.revoke("decode");  // and so on
  CHECK_FALSE(meet().both());
  c.renew("decode");
  CHECK(meet().both());
  c.revoke("coordinator");
  CHECK_FALSE(meet().both());
  {
    INFO("who has no list does not know");
    Session client(load(Side::client, c, "decode", c["ca.pem"]), "");
    Session server(load(Side::server, c, "coordinator", c["ca.pem"]), "");
    CHECK(shake(client, server).both());
  }
}

TEST_CASE("where lists are demanded, an authority without one lets nobody in") {
  test::Certificates c, others;
  c.revoke("");
  others.revoke("");
  // Both authorities are believed; only one has a list.
  std::ofstream(c["both.pem"]) << read_file(c["ca.pem"], 1U << 20U).value()
                               << read_file(others["ca.pem"], 1U << 20U).value();
  const auto server = [&](const std::string& lists) {
    return or_throw(Context::load({Side::server, {c["coordinator.pem"], c["coordinator.key"], c["both.pem"], lists}}));
  };
  const auto meets = [&](const test::Certificates& whose, const std::string& lists) {
    Session client(load(Side::client, whose, "decode", c["ca.pem"]), "");
    Session session(server(lists), "");
    return shake(client, session).both();
  };
  CHECK(meets(c, c["crl.pem"]));
  CHECK_FALSE(meets(others, c["crl.pem"]));
  std::ofstream(c["lists.pem"]) << read_file(c["crl.pem"], 1U << 20U).value()
                                << read_file(others["crl.pem"], 1U << 20U).value();
  CHECK(meets(c, c["lists.pem"]));
  CHECK(meets(others, c["lists.pem"]));
  // A list that a stranger signed in the authority's name is none.
  CHECK_FALSE(meets(c, others["crl.pem"]));
}

TEST_CASE("what is no TLS ends the session with words") {
  const test::Certificates c;
  Session server(load(Side::server, c, "coordinator", ""), "");
  server.feed("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto r = server.handshake();
  REQUIRE_FALSE(r);
  CHECK_THAT(r.error().message, Contains("TLS"));
}
