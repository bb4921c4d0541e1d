#include "common/tls/stream.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include "tests/support/certificates.h"

using namespace sluice;
using namespace sluice::tls;
using boost::asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

/// Two ends of a connection in one io_context, plain or not.
struct Ends {
  asio::io_context io;
  Workers workers;
  std::unique_ptr<Stream> client, server;

  explicit Ends(const test::Certificates* c) {
    tcp::acceptor acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    tcp::socket left(io);
    left.connect(acceptor.local_endpoint());
    tcp::socket right = acceptor.accept();
    Secured of_client, of_server;
    if (c != nullptr) {
      of_client = {or_throw(Context::load({Side::client, {"", "", (*c)["ca.pem"]}})), "localhost"};
      of_server = {or_throw(Context::load({Side::server, {(*c)["coordinator.pem"], (*c)["coordinator.key"], ""}})), "",
                   workers.executor()};
    }
    client = std::make_unique<Stream>(std::move(left), of_client);
    server = std::make_unique<Stream>(std::move(right), of_server);
  }
  template <class P>
  bool until(P p) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!p() && std::chrono::steady_clock::now() < end) {
      io.restart();
      io.run_one_for(20ms);
    }
    return p();
  }
  void shake() {
    std::optional<error_code> a, b;
    client->async_handshake([&](error_code ec) { a = ec; });
    server->async_handshake([&](error_code ec) { b = ec; });
    REQUIRE(until([&] { return a && b; }));
    REQUIRE_FALSE(*a);
    REQUIRE_FALSE(*b);
  }
};

}  // namespace

TEST_CASE("a stream carries bytes both ways at once, plain or not") {
  const test::Certificates c;
  for (const bool secure : {false, true}) {
    INFO(secure);
    Ends e(secure ? &c : nullptr);
    e.shake();
    CHECK(e.client->secure() == secure);
    const std::string there(3'000'000, 'a'), back(2'000'000, 'b');
    std::string got_there(there.size(), 0), got_back(back.size(), 0);
    int done = 0;
    const auto count = [&](error_code ec, std::size_t) { done += ec ? 100 : 1; };
    asio::async_write(*e.client, asio::buffer(there), count);
    asio::async_write(*e.server, asio::buffer(back), count);
    asio::async_read(*e.server, asio::buffer(got_there), count);
    asio::async_read(*e.client, asio::buffer(got_back), count);
    REQUIRE(e.until([&] { return done >= 4; }));
    CHECK(done == 4);
    CHECK(got_there == there);
    CHECK(got_back == back);
  }
}

TEST_CASE("an end of sending is heard, and the other direction goes on") {
  const test::Certificates c;
  for (const bool secure : {false, true}) {
    INFO(secure);
    Ends e(secure ? &c : nullptr);
    e.shake();
    e.client->end_sending();
    char byte = 0;
    std::optional<error_code> end, wrote, read;
    e.server->async_read_some(asio::buffer(&byte, 1), [&](error_code ec, std::size_t) { end = ec; });
    REQUIRE(e.until([&] { return end.has_value(); }));
    CHECK(*end == asio::error::eof);
    e.server->async_write_some(asio::buffer("x", 1), [&](error_code ec, std::size_t) { wrote = ec; });
    e.client->async_read_some(asio::buffer(&byte, 1), [&](error_code ec, std::size_t) { read = ec; });
    REQUIRE(e.until([&] { return wrote && read; }));
    CHECK_FALSE(*read);
    CHECK(byte == 'x');
  }
}

TEST_CASE("a stream may go while its operations are outstanding") {
  const test::Certificates c;
  for (const bool shaken : {false, true}) {
    Ends e(&c);
    if (shaken) e.shake();
    std::string room(10, 0);
    int done = 0;
    if (shaken) {
      e.server->async_read_some(asio::buffer(room), [&](error_code ec, std::size_t) { done += ec ? 1 : 0; });
    } else {
      e.server->async_handshake([&](error_code ec) { done += ec ? 1 : 0; });
    }
    e.server->close();
    e.server.reset();
    REQUIRE(e.until([&] { return done == 1; }));
  }
}

TEST_CASE("a peer without TLS ends the handshake, with words") {
  const test::Certificates c;
  Ends e(&c);
  std::optional<error_code> ended;
  e.server->async_handshake([&](error_code ec) { ended = ec; });
  asio::write(e.client->socket(), asio::buffer(std::string("GET / HTTP/1.1\r\n\r\n")));
  REQUIRE(e.until([&] { return ended.has_value(); }));
  CHECK(*ended);
  CHECK_THAT(e.server->problem().message, Catch::Contains("TLS"));
}
