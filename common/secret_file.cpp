#include "common/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::string secret_mode_problem(mode_t mode, uid_t owner) {
  constexpr mode_t kOthers = S_IRWXO, kGroupChange = S_IWGRP | S_IXGRP;
  if ((mode & kOthers) != 0) return "every user of this machine has rights to it";
  if ((mode & kGroupChange) != 0) return "its group can change it";
  if ((mode & S_IRGRP) != 0 && owner != 0) return "its group can read it, and it is not root's";
  return {};
}

Result<std::string> read_secret_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return fail(Errc::not_found, "cannot open {}: {}", path.string(), std::strerror(errno));
  struct stat s{};
  if (::fstat(file.get(), &s) != 0)
    return fail(Errc::unavailable, "cannot look at {}: {}", path.string(), std::strerror(errno));
  if (S_ISDIR(s.st_mode)) return fail(Errc::invalid_argument, "{} is a directory", path.string());
  if (const std::string why = secret_mode_problem(s.st_mode, s.st_uid); !why.empty())
    return fail(Errc::permission_denied, "{} holds a secret, but {} (mode {:03o}): chmod 600 {}", path.string(), why,
                static_cast<unsigned>(s.st_mode & 07777U), path.string());
  std::string text;
  constexpr std::size_t kStep = 64U << 10U;
  while (text.size() <= max_bytes) {
    const std::size_t have = text.size();
    text.resize(have + kStep);
    const ssize_t n = ::read(file.get(), text.data() + have, kStep);
    text.resize(have + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Errc::unavailable, "cannot read {}: {}", path.string(), std::strerror(errno));
    if (n == 0) return text;
  }
  return fail(Errc::invalid_argument, "{} is larger than {} bytes", path.string(), max_bytes);
}

Result<std::string> read_secret_line(const std::filesystem::path& path) {
  constexpr std::size_t kMostBytes = 4096;
  SLUICE_ASSIGN(std::string text, read_secret_file(path, kMostBytes));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty()) return fail(Errc::invalid_argument, "{} is empty", path.string());
  if (text.find_first_of("\r\n") != std::string::npos)
    return fail(Errc::invalid_argument, "{} has several lines; one is expected", path.string());
  return text;
}

}  // namespace sluice
