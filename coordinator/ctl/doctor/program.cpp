#include "coordinator/ctl/doctor/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace sluice::ctl::doctor {
namespace {

using Clock = std::chrono::steady_clock;

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close(0);
    close(1);
  }
  void close(std::size_t end) {
    if (ends_[end] >= 0) ::close(std::exchange(ends_[end], -1));
  }
  [[nodiscard]] int in() const { return ends_[1]; }
  [[nodiscard]] int out() const { return ends_[0]; }

 private:
  std::array<int, 2> ends_{-1, -1};
};

/// Starts it with `out` as its standard output and error (-1: nowhere). The pid, or -1 with errno.
pid_t start(const Program& p, int out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (out >= 0) {
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  } else {
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
  }
  std::vector<std::string> env_text;
  for (char** e = environ; *e != nullptr; ++e) {
    const std::string_view entry(*e);
    const auto replaced = [&](const auto& v) { return entry.starts_with(v.first + "="); };
    if (std::ranges::none_of(p.env, replaced)) env_text.emplace_back(entry);
  }
  for (const auto& [key, value] : p.env) env_text.push_back(fmt::format("{}={}", key, value));
  const auto pointers = [](std::vector<std::string>& strings) {
    std::vector<char*> out_pointers;
    for (auto& s : strings) out_pointers.push_back(s.data());
    out_pointers.push_back(nullptr);
    return out_pointers;
  };
  std::vector<std::string> argv = p.argv;
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, argv.front().c_str(), &actions, nullptr, pointers(argv).data(), pointers(env_text).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return pid;
  errno = error;
  return -1;
}

int end(pid_t pid, bool kill) {
  if (kill) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

Result<std::string> output_of(const Program& p) {
  Pipe pipe;
  if (pipe.in() < 0) return fail(Errc::resource_exhausted, "no pipe: {}", std::strerror(errno));
  const pid_t pid = start(p, pipe.in());
  if (pid < 0)
    return fail(errno == ENOENT ? Errc::not_found : Errc::unavailable, "cannot run {}: {}", p.argv.front(),
                std::strerror(errno));
  pipe.close(1);
  const auto deadline = Clock::now() + p.limit;
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wait{pipe.out(), POLLIN, 0};
    const int ready = left > 0 ? ::poll(&wait, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      (void)end(pid, true);
      return fail(Errc::deadline_exceeded, "{} did not end within {} ms", p.argv.front(), p.limit.count());
    }
    const ssize_t n = ::read(pipe.out(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(piece.data(), static_cast<std::size_t>(n));
    if (text.size() > p.max_bytes) {
      (void)end(pid, true);
      return fail(Errc::data_corrupt, "{} printed more than {} bytes", p.argv.front(), p.max_bytes);
    }
  }
  const int status = end(pid, false);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail(Errc::unavailable, "{} ended with status {}", p.argv.front(),
                WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return text;
}

Beside::Beside(const Program& p) : pid_(start(p, -1)) {}

Beside::~Beside() {
  if (pid_ > 0) (void)end(pid_, true);
}

}  // namespace sluice::ctl::doctor
