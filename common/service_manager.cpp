#include "common/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>

#include "common/log.h"

namespace sluice {

std::string service_reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1'000'000 + now.tv_nsec / 1000);
}

Result<void> tell_service_manager(const std::string& socket, std::string_view state) {
  if (socket.empty()) return {};
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (socket.front() != '/' && socket.front() != '@')
    return fail(Errc::invalid_argument, "'{}' is neither a path from the root nor an abstract name (@name)", socket);
  if (socket.size() >= sizeof to.sun_path)
    return fail(Errc::invalid_argument, "a socket's path has {} bytes at most", sizeof to.sun_path - 1);
  std::copy(socket.begin(), socket.end(), to.sun_path);
  if (socket.front() == '@') to.sun_path[0] = '\0';
  // An abstract name ends where the address does; a path has its zero there already.
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size());
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(Errc::unavailable, "no socket: {}", std::strerror(errno));
  const ssize_t sent =
      ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), length);
  const int why = errno;
  ::close(fd);
  if (sent < 0) return fail(Errc::unavailable, "cannot write to {}: {}", socket, std::strerror(why));
  return {};
}

void announce_service(const std::string& socket, std::string_view state) {
  if (auto told = tell_service_manager(socket, state); !told)
    log::warn("the service manager could not be told", {{"state", state}, {"why", told.error().message}});
}

}  // namespace sluice
