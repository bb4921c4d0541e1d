#include "node/run_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>

namespace sluice::node {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::size_t kMostOutput = 4096;
constexpr int kFileThere = 3;  // descriptor of the file in the other program

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (auto& w : words) out.push_back(w.data());
  out.push_back(nullptr);
  return out;
}

/// Closed at the end of the scope.
struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    for (const int fd : ends)
      if (fd >= 0) ::close(fd);
  }
  void close_input() {
    ::close(ends[1]);
    ends[1] = -1;
  }
};

struct Actions {
  posix_spawn_file_actions_t all{};
  Actions() { posix_spawn_file_actions_init(&all); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  ~Actions() { posix_spawn_file_actions_destroy(&all); }
};

/// Until it writes no more; false: it took too long.
bool read_all(int fd, std::string& out) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd p{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = left.count() > 0 ? ::poll(&p, 1, static_cast<int>(left.count())) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    char block[1024];
    const ssize_t n = ::read(fd, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return true;
    if (out.size() < kMostOutput) out.append(block, static_cast<std::size_t>(n));
  }
}

std::string one_line(std::string s) {
  while (!s.empty() && s.back() == '\n') s.pop_back();
  std::ranges::replace(s, '\n', ' ');
  return s;
}

/// From `first` on; the call for all at once is younger than some kernels and some filters of calls.
void close_on_exec(int first) {
  if (::close_range(static_cast<unsigned>(first), ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  std::error_code ec;
  for (std::filesystem::directory_iterator it("/proc/self/fd", ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    if (fd >= first) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

}  // namespace

bool is_program(const std::string& path) {
  struct stat s{};
  return !path.empty() && ::stat(path.c_str(), &s) == 0 && S_ISREG(s.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

Result<ProgramEnd> run_program(std::vector<std::string> argv, const PrivateFile& file) {
  for (auto& a : argv)
    if (a == "@") a = fmt::format("/proc/self/fd/{}", kFileThere);
  Pipe pipe;
  if (::pipe2(pipe.ends, O_CLOEXEC) != 0) return fail(Errc::unavailable, "no pipe: {}", std::strerror(errno));
  // Out of the way of the descriptors that it will have.
  const int source = ::fcntl(file.descriptor(), F_DUPFD_CLOEXEC, kFileThere + 1);
  const int sink = ::fcntl(pipe.ends[1], F_DUPFD_CLOEXEC, kFileThere + 1);
  Actions actions;
  posix_spawn_file_actions_addopen(&actions.all, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions.all, sink, 1);
  posix_spawn_file_actions_adddup2(&actions.all, sink, 2);
  posix_spawn_file_actions_adddup2(&actions.all, source, kFileThere);
  pid_t pid = -1;
  const int error = source < 0 || sink < 0
                        ? errno
                        : ::posix_spawn(&pid, argv[0].c_str(), &actions.all, nullptr, pointers(argv).data(), environ);
  for (const int fd : {source, sink})
    if (fd >= 0) ::close(fd);
  pipe.close_input();
  if (error != 0) return fail(Errc::unavailable, "{} does not start: {}", argv[0], std::strerror(error));
  ProgramEnd end;
  const bool ended = read_all(pipe.ends[0], end.output);
  if (!ended) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) return fail(Errc::deadline_exceeded, "{} did not answer within {} s", argv[0], kPatience.count());
  end.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  end.output = one_line(std::move(end.output));
  return end;
}

Error replace_process(std::vector<std::string> argv, const std::vector<int>& kept) {
  close_on_exec(STDERR_FILENO + 1);
  for (const int fd : kept) ::fcntl(fd, F_SETFD, 0);
  ::execv(argv[0].c_str(), pointers(argv).data());
  return {Errc::unavailable, fmt::format("{}: {}", argv[0], std::strerror(errno)), {}};
}

}  // namespace sluice::node
