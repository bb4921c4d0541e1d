#include "coordinator/ctl/run_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

namespace sluice::ctl {
namespace fs = std::filesystem;
namespace {

constexpr std::uintmax_t kMaxStateBytes = 8U << 20;

}  // namespace

fs::path default_run_dir() {
  const char* base = std::getenv("XDG_RUNTIME_DIR");
  return fs::path(base != nullptr && *base != '\0' ? base : "/tmp") / fmt::format("sluice-{}", ::getuid());
}

RunLock::~RunLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<> RunDir::check_ours() const {
  struct stat s{};
  if (::lstat(path_.c_str(), &s) != 0)
    return fail(Errc::unavailable, "cannot look at {}: {}", path_.string(), std::strerror(errno));
  if (!S_ISDIR(s.st_mode) || s.st_uid != ::getuid() || (s.st_mode & 022) != 0)
    return fail(Errc::permission_denied,
                "{} must be a directory that only you can write; choose another with --run-dir", path_.string());
  return {};
}

Result<> RunDir::create() const {
  std::error_code ec;
  fs::create_directories(path_.parent_path(), ec);
  if (::mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(Errc::unavailable, "cannot make {}: {}", path_.string(), std::strerror(errno));
  return check_ours();
}

Result<RunLock> RunDir::lock(bool wait) const {
  const fs::path file = path_ / "lock";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail(Errc::unavailable, "cannot open {}: {}", file.string(), std::strerror(errno));
  RunLock lock(fd);
  while (::flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    return fail(Errc::resource_exhausted, "another sluicectl is starting or stopping the cluster in {}",
                path_.string());
  }
  return lock;
}

Result<std::optional<ClusterState>> RunDir::load() const {
  std::error_code ec;
  if (!fs::exists(state_file(), ec)) return std::optional<ClusterState>();
  SLUICE_TRY(check_ours());
  if (fs::file_size(state_file(), ec) > kMaxStateBytes || ec)
    return fail(Errc::data_corrupt, "{} is no state file", state_file().string());
  std::ifstream in(state_file(), std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  auto state = parse_state(std::move(text).str());
  if (!state)
    return fail(Errc::data_corrupt, "{}: {}; end its processes by hand and remove it", state_file().string(),
                state.error().message);
  return std::optional(std::move(*state));
}

Result<> RunDir::save(const ClusterState& s) const { return replace(state_file(), to_text(s)); }

Result<> RunDir::save_targets(const std::string& text) const { return replace(targets_file(), text); }

Result<> RunDir::replace(const fs::path& file, const std::string& text) const {
  const fs::path partial = file.string() + ".partial";
  {
    std::ofstream out(partial, std::ios::binary | std::ios::trunc);
    out << text << std::flush;
    if (!out) return fail(Errc::unavailable, "cannot write {}", partial.string());
  }
  if (::rename(partial.c_str(), file.c_str()) != 0)
    return fail(Errc::unavailable, "cannot write {}: {}", file.string(), std::strerror(errno));
  return {};
}

void RunDir::forget() const {
  std::error_code ec;
  fs::remove(state_file(), ec);
  std::vector<fs::path> ready;
  for (auto it = fs::directory_iterator(path_, ec); !ec && it != fs::directory_iterator(); it.increment(ec))
    if (it->path().extension() == kReady) ready.push_back(it->path());
  for (const auto& file : ready) fs::remove(file, ec);
  fs::remove(targets_file(), ec);
}

}  // namespace sluice::ctl
