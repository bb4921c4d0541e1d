#include "node/private_file.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice::node {

Result<PrivateFile> PrivateFile::of(const std::string& text) {
  PrivateFile file(::memfd_create("sluice-options", MFD_CLOEXEC));
  const auto failed = [](const char* what) {
    return fail(Errc::unavailable, "no private file in memory: {}: {}", what, std::strerror(errno));
  };
  if (file.fd_ < 0) return failed("memfd_create");
  // Else every user has rights to it, and whoever reads secrets from it refuses.
  if (::fchmod(file.fd_, S_IRUSR | S_IWUSR) != 0) return failed("fchmod");
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(file.fd_, text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failed("write");
    at += static_cast<std::size_t>(n);
  }
  return file;
}

PrivateFile::~PrivateFile() {
  if (fd_ >= 0) ::close(fd_);
}

std::string PrivateFile::path() const { return fmt::format("/proc/self/fd/{}", fd_); }

}  // namespace sluice::node
