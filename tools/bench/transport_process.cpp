#include "tools/bench/transport_process.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

namespace sluice::bench {
namespace {

std::vector<std::string> environment(const Child::Environment& extra) {
  std::vector<std::string> env;
  for (char** e = environ; *e != nullptr; ++e)
    if (!std::string_view(*e).starts_with("UCX_")) env.emplace_back(*e);
  for (const auto& [name, value] : extra) env.push_back(name + "=" + value);
  return env;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> p;
  for (auto& s : strings) p.push_back(s.data());
  p.push_back(nullptr);
  return p;
}

}  // namespace

Result<Child> Child::start(const std::vector<std::string>& argv, const Environment& extra) {
  std::array<int, 2> in{}, out{};
  if (pipe(in.data()) != 0 || pipe(out.data()) != 0) return fail(Errc::internal, "pipe: {}", std::strerror(errno));
  // Everything that allocates happens before fork().
  auto args = argv;
  auto env = environment(extra);
  const auto arg_pointers = pointers(args), env_pointers = pointers(env);
  Child c;
  c.pid_ = fork();
  if (c.pid_ == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(out[1], STDERR_FILENO);
    for (const int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
    execvpe(arg_pointers[0], arg_pointers.data(), env_pointers.data());
    _exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  c.in_ = in[1];
  c.out_ = out[0];
  if (c.pid_ < 0) return fail(Errc::internal, "fork: {}", std::strerror(errno));
  return c;
}

Child::~Child() {
  if (in_ >= 0) ::close(in_);
  if (out_ >= 0) ::close(out_);
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool Child::readable(int timeout_s) const {
  pollfd p{out_, POLLIN, 0};
  return ::poll(&p, 1, timeout_s * 1000) == 1;
}

std::string Child::line() {
  std::string s;
  for (char c = 0; readable(10) && ::read(out_, &c, 1) == 1 && c != '\n';) s += c;
  return s;
}

double Child::cpu_seconds() const {
  std::ifstream in(fmt::format("/proc/{}/stat", pid_));
  std::string text{std::istreambuf_iterator<char>(in), {}};
  // Fields 14 and 15 are user and system ticks; the name before field 3 may hold spaces.
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string skipped;
  double user = 0, system = 0;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::string Child::rest(int silence_s) {
  std::string s;
  std::array<char, 4096> buffer;
  while (readable(silence_s)) {
    const auto n = ::read(out_, buffer.data(), buffer.size());
    if (n <= 0) break;
    s.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return s;
}

std::string self_path() {
  std::array<char, PATH_MAX> p{};
  const auto n = readlink("/proc/self/exe", p.data(), p.size());
  return {p.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
}

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t n = sizeof a;
  int port = 0;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&a), n) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&a), &n) == 0)
    port = ntohs(a.sin_port);
  ::close(fd);
  return port;
}

bool wait_for_listener(int port) {
  const std::string listening = fmt::format(":{:04X} 00000000:0000 0A", port);
  for (int tries = 0; tries < 1000; ++tries) {
    std::ifstream table("/proc/net/tcp");
    const std::string text{std::istreambuf_iterator<char>(table), {}};
    if (text.find(listening) != std::string::npos) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace sluice::bench
