#include "coordinator/ctl/doctor/places.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "tests/coordinator_ctl_doctor/findings.h"

using namespace sluice::ctl::doctor;

TEST_CASE("a real port: free, then taken") {
  const Place free = try_place("127.0.0.1:0");
  CHECK(free.bind_error == 0);
  CHECK(free.loopback);
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&at), size) == 0);
  REQUIRE(::listen(fd, 1) == 0);
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0);
  const std::string address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  CHECK(try_place(address).bind_error == EADDRINUSE);
  check_told(only(judge_places({try_place(address)}, false), "port-taken"), Severity::error, "another process",
             "another port");
  ::close(fd);
  CHECK(try_place(address).bind_error == 0);
}

TEST_CASE("addresses of elsewhere, of no form, of every interface") {
  CHECK(try_place("198.51.100.7:9000").bind_error == EADDRNOTAVAIL);
  CHECK_FALSE(try_place("nonsense").well_formed);
  CHECK(try_place(":0").every_address);
  CHECK(try_place("0.0.0.0:0").every_address);
  CHECK(is_loopback("localhost:1"));
  CHECK(is_loopback("[::1]:1"));
  CHECK_FALSE(is_loopback("10.0.0.1:1"));
}

TEST_CASE("each mistake is told with its cure") {
  const auto judged = [](Place p, bool several = false) { return judge_places({std::move(p)}, several); };
  check_told(only(judged({.address = "x", .well_formed = false}), "address-form"), Severity::error, "no address",
             "host:port");
  check_told(only(judged({.address = "x", .bind_error = EADDRNOTAVAIL}), "address-elsewhere"), Severity::error,
             "not an address of this machine", "--advertise");
  check_told(only(judged({.address = "x", .bind_error = EACCES}), "port-privileged"), Severity::error, "may not",
             "1024");
  check_told(only(judged({.address = "x", .bind_error = EINVAL}), "port-error"), Severity::error, "Invalid", "address");
  check_told(only(judged({.address = "x", .loopback = true}, true), "loopback-only"), Severity::error,
             "no other machine", "network");
  check_told(only(judged({.address = "x", .every_address = true}, true), "every-address"), Severity::note,
             "every address", "--advertise");
  CHECK(only(judged({.address = "x", .loopback = true}), "port-free").severity == Severity::ok);
  CHECK(only(judged({.address = "x"}, true), "port-free").severity == Severity::ok);
}
