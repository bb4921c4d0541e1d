#include <catch2/catch.hpp>

#include "common/net/address.h"

using namespace sluice::net;

TEST_CASE("addresses are read as users write them") {
  CHECK(parse_address("10.0.0.1:7300")->host == "10.0.0.1");
  CHECK(parse_address("10.0.0.1:7300")->port == 7300);
  CHECK(parse_address("[::1]:80")->host == "::1");
  CHECK(parse_address("[::1]:80")->str() == "[::1]:80");
  for (const char* bad : {"", "host", ":80", "host:", "host:70000", "host:x", "host:-1"})
    CHECK_FALSE(parse_address(bad));
}

TEST_CASE("a host and its port are joined as in a URL") {
  CHECK(host_port("10.0.0.1", 80) == "10.0.0.1:80");
  CHECK(host_port("example.org", 80) == "example.org:80");
  CHECK(host_port("::1", 80) == "[::1]:80");
  CHECK(host_port("::", 80) == "[::]:80");
  CHECK(host_port("[::1]", 80) == "[::1]:80");
  CHECK(host_port("fe80::1%eth0", 80) == "[fe80::1%eth0]:80");
  CHECK(host_port("::ffff:10.0.0.1", 80) == "10.0.0.1:80");
  CHECK(host_port("::ffff:a00:1", 80) == "[::ffff:a00:1]:80");
}

TEST_CASE("a place to listen at may leave the host out") {
  CHECK(parse_listen_address("127.0.0.1:80")->host == "127.0.0.1");
  CHECK(parse_listen_address("[::1]:80")->host == "::1");
  CHECK(parse_listen_address(":0")->host.empty());
  for (const char* bad : {"", "host", "host:", "host:x", "host:70000", "host:-1"})
    CHECK_FALSE(parse_listen_address(bad));
}

TEST_CASE("port ranges are read as UCX writes them") {
  CHECK(parse_port_range("")->first == 0);
  CHECK(parse_port_range("0")->last == 0);
  CHECK(parse_port_range("7300-7310")->last == 7310);
  CHECK(parse_port_range("7300")->first == 7300);
  for (const char* bad : {"7310-7300", "a-b", "7300-", "-7", "0-5"}) CHECK_FALSE(parse_port_range(bad));
}

TEST_CASE("what is of this machine alone") {
  for (const char* own : {"127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"}) {
    INFO(own);
    CHECK(is_loopback(own));
  }
  for (const char* others :
       {"", "0.0.0.0", "::", "[::]", "10.0.0.1", "host", "127.0.0.1.example.org", "::ffff:10.0.0.1"}) {
    INFO(others);
    CHECK_FALSE(is_loopback(others));
  }
}

// A decode node that listened at 0.0.0.0 was once handed to prefill nodes as just that: they connected to themselves.
TEST_CASE("a place that is every address is told to nobody") {
  for (const char* every : {"0.0.0.0:80", "[::]:80", ":80", "0:80", "[0:0::0]:80", "*:80"}) {
    CAPTURE(every);
    const auto told = advertised_address(every, "");
    REQUIRE_FALSE(told);
    CHECK_THAT(told.error().message, Catch::Contains(every) && Catch::Contains("--advertise"));
    CHECK(*advertised_address(every, "10.0.0.2") == "10.0.0.2:80");
  }
  CHECK(*advertised_address("10.0.0.1:80", "") == "10.0.0.1:80");
  CHECK(*advertised_address("[::1]:80", "") == "[::1]:80");
  CHECK(*advertised_address("10.0.0.1:80", "node7.example.org") == "node7.example.org:80");  // behind NAT
  CHECK(*advertised_address("0.0.0.0:80", "fd00::7") == "[fd00::7]:80");
  CHECK(*advertised_address("0.0.0.0:80", "[fd00::7]") == "[fd00::7]:80");
  CHECK_FALSE(advertised_address("nonsense", ""));
  for (const char* bad : {"10.0.0.2:9100", "0.0.0.0", "::", "http://host", "a host"}) {
    CAPTURE(bad);
    CHECK_FALSE(advertised_address("0.0.0.0:80", bad));
  }
}
