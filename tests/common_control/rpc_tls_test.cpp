// The control plane over TLS: nothing is said before both ends know whom they speak to.
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include "common/control/rpc.h"
#include "tests/support/certificates.h"

using namespace sluice;
using namespace sluice::control;
using boost::asio::ip::tcp;
using nlohmann::json;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// Both ends of one connection; each is given how it speaks.
struct Ends {
  boost::asio::io_context io;
  std::shared_ptr<Connection> client, server;
  std::optional<Error> client_closed, server_closed;
  std::vector<std::string> heard;

  Ends(tls::Secured of_client, tls::Secured of_server,
       std::function<Result<>(const std::optional<tls::Peer>&)> admit = {}) {
    tcp::acceptor acceptor(io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    tcp::socket left(io);
    left.connect(acceptor.local_endpoint());
    tcp::socket right = acceptor.accept();
    client = std::make_shared<Connection>(
        tls::Stream(std::move(left), std::move(of_client)),
        Connection::Handlers{.on_close = [this](const Error& e) { client_closed = e; }, .admit = std::move(admit)});
    server = std::make_shared<Connection>(
        tls::Stream(std::move(right), std::move(of_server)),
        Connection::Handlers{.on_notify = [this](const std::string& type, const json&) { heard.push_back(type); },
                             .on_close = [this](const Error& e) { server_closed = e; }});
    client->start();
    server->start();
  }
  ~Ends() {
    client->close(Error{Errc::cancelled, "test over", {}});
    server->close(Error{Errc::cancelled, "test over", {}});
    io.run_for(50ms);
  }
  template <class P>
  bool until(P p) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!p() && std::chrono::steady_clock::now() < end) io.run_one_for(50ms);
    return p();
  }
};

tls::Secured side(tls::Side which, const test::Certificates& c, const std::string& own, const std::string& ca) {
  return {or_throw(tls::Context::load({which, {c[own + ".pem"], c[own + ".key"], ca}}))};
}

}  // namespace

TEST_CASE("messages go over TLS, and each end knows the other's role") {
  const test::Certificates c;
  Ends e(side(tls::Side::client, c, "decode", c["ca.pem"]), side(tls::Side::server, c, "coordinator", c["ca.pem"]));
  e.client->notify("early", std::string(100'000, 'x'));  // queued until hands are shaken
  REQUIRE(e.until([&] { return e.heard.size() == 1; }));
  CHECK(e.client->certificate()->has_role("coordinator"));
  CHECK(e.server->certificate()->has_role("decode"));
}

TEST_CASE("nothing is told to a peer that is not admitted") {
  const test::Certificates c;
  Ends e(side(tls::Side::client, c, "decode", c["ca.pem"]), side(tls::Side::server, c, "prefill", c["ca.pem"]),
         [](const std::optional<tls::Peer>& p) -> Result<> {
           if (p && p->has_role("coordinator")) return {};
           return fail(Errc::permission_denied, "no coordinator");
         });
  e.client->notify("secret", {});
  REQUIRE(e.until([&] { return e.client_closed && e.server_closed; }));
  CHECK_THAT(e.client_closed->message, Contains("no coordinator"));
  CHECK(e.heard.empty());
}

TEST_CASE("a stranger's certificate ends the connection, with words on both sides") {
  const test::Certificates c, strangers;
  Ends e(side(tls::Side::client, strangers, "decode", c["ca.pem"]),
         side(tls::Side::server, c, "coordinator", c["ca.pem"]));
  REQUIRE(e.until([&] { return e.client_closed && e.server_closed; }));
  CHECK_THAT(e.server_closed->message, Contains("not believed"));
  CHECK_THAT(e.client_closed->message, Contains("TLS"));
}

TEST_CASE("one end with TLS and one without find out, and say which flags go together") {
  const test::Certificates c;
  {
    Ends e(side(tls::Side::client, c, "decode", c["ca.pem"]), {});
    REQUIRE(e.until([&] { return e.client_closed && e.server_closed; }));
    CHECK_THAT(e.server_closed->message, Contains("--cluster-cert"));
  }
  Ends e({}, side(tls::Side::server, c, "coordinator", c["ca.pem"]));
  e.client->notify("register", {});
  REQUIRE(e.until([&] { return e.client_closed && e.server_closed; }));
  CHECK_THAT(e.server_closed->message, Contains("TLS"));
  CHECK(e.heard.empty());
}
