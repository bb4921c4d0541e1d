#include "coordinator/ctl/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

namespace sluice::ctl {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kShm = "/dev/shm/";
constexpr std::string_view kDeleted = " (deleted)";

std::string read_all(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

std::optional<ProcStat> stat_of(pid_t pid) { return parse_proc_stat(read_all(fmt::format("/proc/{}/stat", pid))); }

/// What posix_spawn takes, with the lifetime it needs.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  int run(const Command& c, pid_t& pid) {
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, c.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions_, 1, 2);
    // We block signals to wait for them; the child must not inherit that.
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    std::vector<std::string> argv{c.program.filename().string()};
    argv.insert(argv.end(), c.args.begin(), c.args.end());
    auto env = environment(c);
    return posix_spawn(&pid, c.program.c_str(), &actions_, &attributes_, pointers(argv).data(), pointers(env).data());
  }

 private:
  static std::vector<std::string> environment(const Command& c) {
    std::vector<std::string> all;
    for (char** e = environ; *e != nullptr; ++e) {
      const std::string_view entry(*e);
      const bool replaced = std::ranges::any_of(
          c.env, [&](const auto& v) { return entry.starts_with(v.first) && entry.substr(v.first.size(), 1) == "="; });
      if (!replaced) all.emplace_back(entry);
    }
    for (const auto& [key, value] : c.env) all.push_back(fmt::format("{}={}", key, value));
    return all;
  }
  static std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> p;
    for (auto& s : strings) p.push_back(s.data());
    p.push_back(nullptr);
    return p;
  }

  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// Every path below /dev/shm that any process we may look at has open or mapped.
std::set<std::string> shared_memory_in_use() {
  std::set<std::string> used;
  std::error_code ec;
  for (fs::directory_iterator it("/proc", ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    pid_t pid = 0;
    const auto r = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (r.ec != std::errc() || r.ptr != name.data() + name.size()) continue;
    for (auto& f : shared_memory_of(pid)) used.insert(std::move(f));
  }
  return used;
}

}  // namespace

std::optional<ProcStat> parse_proc_stat(std::string_view line) {
  const auto close = line.rfind(')');
  if (close == std::string_view::npos || close + 2 >= line.size()) return std::nullopt;
  std::istringstream fields{std::string(line.substr(close + 1))};
  ProcStat s;
  if (!(fields >> s.state)) return std::nullopt;
  std::string field;
  for (int number = 4; number <= 22; ++number)
    if (!(fields >> field)) return std::nullopt;
  const auto r = std::from_chars(field.data(), field.data() + field.size(), s.start_ticks);
  if (r.ec != std::errc() || r.ptr != field.data() + field.size()) return std::nullopt;
  return s;
}

Result<ProcessId> spawn(const Command& c) {
  if (::access(c.program.c_str(), X_OK) != 0)
    return fail(Errc::not_found, "{} is not there or cannot be run", c.program.string());
  ProcessId p;
  if (const int error = SpawnPlan().run(c, p.pid); error != 0)
    return fail(Errc::unavailable, "cannot start {}: {}", c.program.string(), std::strerror(error));
  // Not reaped yet, so /proc still knows it even if it has ended already.
  const auto stat = stat_of(p.pid);
  if (!stat) return fail(Errc::internal, "/proc/{}/stat cannot be read", p.pid);
  p.start_ticks = stat->start_ticks;
  return p;
}

bool alive(const ProcessId& p) {
  if (p.pid <= 0) return false;
  const auto stat = stat_of(p.pid);
  return stat && stat->start_ticks == p.start_ticks && stat->state != 'Z' && stat->state != 'X';
}

bool signal(const ProcessId& p, int number) { return alive(p) && ::kill(p.pid, number) == 0; }

void reap() {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

std::vector<std::string> shared_memory_in_maps(std::string_view maps) {
  std::set<std::string> found;
  std::istringstream in{std::string(maps)};
  for (std::string line; std::getline(in, line);) {
    const auto at = line.find(kShm);
    if (at == std::string::npos) continue;
    std::string path = line.substr(at);
    if (path.ends_with(kDeleted)) continue;
    found.insert(std::move(path));
  }
  return {found.begin(), found.end()};
}

std::vector<std::string> shared_memory_of(pid_t pid) {
  auto found = shared_memory_in_maps(read_all(fmt::format("/proc/{}/maps", pid)));
  std::error_code ec;
  for (fs::directory_iterator it(fmt::format("/proc/{}/fd", pid), ec), end; !ec && it != end; it.increment(ec)) {
    std::error_code gone;
    const std::string target = fs::read_symlink(it->path(), gone).string();
    if (!gone && target.starts_with(kShm) && !target.ends_with(kDeleted)) found.push_back(target);
  }
  std::ranges::sort(found);
  const auto repeated = std::ranges::unique(found);
  found.erase(repeated.begin(), repeated.end());
  return found;
}

std::vector<std::string> remove_unused_shared_memory(const std::vector<std::string>& files) {
  std::vector<std::string> left;
  for (const auto& f : files) {
    struct stat s{};
    const bool by_ucx = f.starts_with("/dev/shm/ucx_") && f.find('/', kShm.size()) == std::string::npos;
    if (by_ucx && ::lstat(f.c_str(), &s) == 0 && S_ISREG(s.st_mode) && s.st_uid == ::getuid()) left.push_back(f);
  }
  if (left.empty()) return {};
  const auto used = shared_memory_in_use();
  std::erase_if(left, [&](const std::string& f) { return used.contains(f) || ::unlink(f.c_str()) != 0; });
  return left;
}

Result<fs::path> own_directory() {
  std::error_code ec;
  const fs::path self = fs::read_symlink("/proc/self/exe", ec);
  if (ec) return fail(Errc::internal, "cannot tell where this program lies: {}", ec.message());
  return self.parent_path();
}

std::string last_lines(const fs::path& file, std::size_t lines) {
  const std::string all = read_all(file);
  std::size_t begin = all.size();
  for (std::size_t n = 0; begin > 0; --begin)
    if (all[begin - 1] == '\n' && begin != all.size() && ++n == lines) break;
  return all.substr(begin);
}

}  // namespace sluice::ctl
