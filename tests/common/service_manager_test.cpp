// What systemd would read of a daemon that starts or ends, on sockets of our own.
#include "common/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <filesystem>
#include <string>

using namespace sluice;

namespace {

/// A datagram socket bound to `name` ('@': abstract), as a service manager has it.
class Manager {
 public:
  explicit Manager(const std::string& name) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::copy(name.begin(), name.end(), at.sun_path);
    if (name.front() == '@') at.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), length) == 0);
  }
  ~Manager() { ::close(fd_); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  /// The next message; empty: there is none.
  std::string heard() {
    char text[128];
    const ssize_t n = ::recv(fd_, text, sizeof text, 0);
    return n < 0 ? "" : std::string(text, static_cast<std::size_t>(n));
  }

 private:
  int fd_;
};

std::string own_name(const std::string& kind) { return kind + "sluice-manager-" + std::to_string(::getpid()); }

}  // namespace

TEST_CASE("a service manager hears of start and end at its path") {
  const std::string path = own_name(std::filesystem::temp_directory_path().string() + "/");
  std::filesystem::remove(path);
  {
    Manager manager(path);
    REQUIRE(tell_service_manager(path, kServiceReady));
    REQUIRE(tell_service_manager(path, kServiceStopping));
    CHECK(manager.heard() == "READY=1");
    CHECK(manager.heard() == "STOPPING=1");
    CHECK(manager.heard().empty());
  }
  std::filesystem::remove(path);
}

TEST_CASE("a service manager's socket may be an abstract name") {
  const std::string name = own_name("@");
  Manager manager(name);
  REQUIRE(tell_service_manager(name, kServiceReady));
  CHECK(manager.heard() == "READY=1");
}

TEST_CASE("without a service manager nobody is told, and a wrong name says why") {
  CHECK(tell_service_manager("", kServiceReady));
  CHECK(tell_service_manager("relative", kServiceReady).error().code == Errc::invalid_argument);
  CHECK(tell_service_manager("/" + std::string(200, 'x'), kServiceReady).error().code == Errc::invalid_argument);
  CHECK(tell_service_manager("/nowhere/at/all", kServiceReady).error().code == Errc::unavailable);
  announce_service("/nowhere/at/all", kServiceReady);  // a warning, no more
}
