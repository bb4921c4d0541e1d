#include "common/net/listener.h"

#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/connect.hpp>
#include <catch2/catch.hpp>
#include <chrono>

#include "common/net/address.h"

using namespace sluice::net;
using boost::asio::ip::tcp;

TEST_CASE("a listener says where it is, hands over each connection, and stops") {
  boost::asio::io_context io;
  int accepted = 0;
  Listener listener(io, "127.0.0.1:0", [&](tcp::socket) { ++accepted; });
  const auto at = parse_address(listener.address());
  REQUIRE(at);
  REQUIRE(at->port != 0);
  const tcp::endpoint there(boost::asio::ip::make_address(at->host), at->port);
  for (int i = 1; i <= 2; ++i) {
    tcp::socket client(io);
    client.connect(there);
    while (accepted < i && io.run_one_for(std::chrono::seconds(10)) > 0) {
    }
    CHECK(accepted == i);
  }
  listener.stop();
  boost::system::error_code ec;
  tcp::socket late(io);
  late.connect(there, ec);
  CHECK(ec);
}

TEST_CASE("a listener of IPv6 writes its address with brackets") {
  boost::asio::io_context io;
  const Listener listener(io, "[::1]:0", [](tcp::socket) {});
  CHECK_THAT(listener.address(), Catch::StartsWith("[::1]:"));
  CHECK(parse_address(listener.address())->host == "::1");
}

// An accept that failed was tried again at once: out of descriptors, the thread did nothing else.
TEST_CASE("out of descriptors, a listener pauses between tries, and goes on once there are some") {
  boost::asio::io_context io;
  int accepted = 0;
  Listener listener(io, "127.0.0.1:0", [&](tcp::socket) { ++accepted; });
  const auto at = parse_address(listener.address());
  tcp::socket client(io);
  client.open(tcp::v4());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int next_free = ::dup(0);
  ::close(next_free);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next_free);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  client.connect({boost::asio::ip::make_address(at->host), at->port});
  const auto turns = io.run_for(std::chrono::milliseconds(300));
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(accepted == 0);
  CHECK(turns < 30);
  while (accepted < 1 && io.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  CHECK(accepted == 1);
}

TEST_CASE("an address that cannot be bound is refused in words") {
  boost::asio::io_context io;
  Listener first(io, "127.0.0.1:0", [](tcp::socket) {});
  CHECK_THROWS_WITH(Listener(io, first.address(), [](tcp::socket) {}), Catch::Contains(first.address()));
  CHECK_THROWS_WITH(Listener(io, "nonsense", [](tcp::socket) {}), Catch::Contains("host:port"));
}
