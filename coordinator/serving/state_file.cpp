#include "coordinator/serving/state_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/files.h"
#include "common/json/parse.h"

namespace sluice::coordinator {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{256} << 20;  // far above what 4096 nodes and their links come to

Result<> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(Errc::unavailable, "{}", std::strerror(errno));
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  // Without this a power cut may leave the new name on an empty file.
  if (::fsync(fd) != 0) return fail(Errc::unavailable, "{}", std::strerror(errno));
  return {};
}

}  // namespace

Result<nlohmann::json> StateFile::load() const {
  auto text = read_file(path_, kMaxBytes);
  if (!text && text.error().code == Errc::not_found) return nlohmann::json::object();
  if (!text) return std::unexpected(text.error());
  auto j = parse_json_object(*text, {.what = path_, .code = Errc::data_corrupt, .max_bytes = kMaxBytes});
  if (!j) return fail(Errc::data_corrupt, "{}; move it away to start anew", j.error().message);
  return j;
}

Result<> StateFile::check_writable() const {
  const std::string partial = path_ + ".partial";
  const int fd = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail(Errc::unavailable, "cannot write {}: {}", partial, std::strerror(errno));
  ::close(fd);
  ::unlink(partial.c_str());
  return {};
}

Result<> StateFile::save(const nlohmann::json& state) const {
  const std::string partial = path_ + ".partial";
  const int fd = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail(Errc::unavailable, "cannot write {}: {}", partial, std::strerror(errno));
  auto written = write_all(fd, state.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  ::close(fd);
  if (!written) return fail(Errc::unavailable, "cannot write {}: {}", partial, written.error().message);
  if (::rename(partial.c_str(), path_.c_str()) != 0)
    return fail(Errc::unavailable, "cannot replace {}: {}", path_, std::strerror(errno));
  return {};
}

}  // namespace sluice::coordinator
