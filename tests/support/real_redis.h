#pragma once
// A real Redis on a free port of the loopback that keeps nothing on disk; stopped, continued, killed and started again
// at the test's word. Threading: construct and destroy on the main thread (the child dies with it).
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "kvstore/tier/redis_connection.h"
#include "tests/support/poll_until.h"
#include "tests/support/temp_dir.h"

namespace sluice::test {

class RealRedis {
 public:
  [[nodiscard]] static bool installed() { return std::system("command -v redis-server >/dev/null 2>&1") == 0; }

  explicit RealRedis(std::vector<std::string> more = {}) : more_(std::move(more)), port_(free_port()) { start(); }
  ~RealRedis() { kill(); }
  RealRedis(const RealRedis&) = delete;

  [[nodiscard]] kvstore::RedisServer server() const { return {.address = {"127.0.0.1", port_}}; }
  void start() {
    std::vector<std::string> args{
        "redis-server", "--port", std::to_string(port_), "--bind",      "127.0.0.1", "--save",      "", "--appendonly",
        "no",           "--dir",  dir_.path(),           "--daemonize", "no",        "--databases", "2"};
    args.insert(args.end(), more_.begin(), more_.end());
    std::vector<char*> argv;
    for (auto& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      (void)!::freopen((dir_ / "log").c_str(), "a", stdout);
      ::execvp("redis-server", argv.data());
      ::_exit(127);
    }
    if (!poll_until([&] { return answers(); }, std::chrono::seconds(10)))
      throw std::runtime_error("redis-server does not start");
  }
  void signal(int number) const { ::kill(pid_, number); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  /// One command of an operator: its answer's number, or the size of its text.
  std::int64_t say(const kvstore::RedisCommand& command) const { return say(server(), command); }
  static std::int64_t say(const kvstore::RedisServer& to, const kvstore::RedisCommand& command) {
    kvstore::RedisPool pool(to);
    const auto r = pool.call({&command, 1}, 1 << 20, std::chrono::steady_clock::now() + std::chrono::seconds(10));
    if (!r) throw std::runtime_error(r.error().message);
    return r->front().number() + static_cast<std::int64_t>(r->front().text().size());
  }
  [[nodiscard]] static std::uint16_t free_port() {
    const int s = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = sizeof a;
    ::bind(s, reinterpret_cast<sockaddr*>(&a), n);
    ::getsockname(s, reinterpret_cast<sockaddr*>(&a), &n);
    ::close(s);
    return ntohs(a.sin_port);
  }

 private:
  /// It answers, if only that it wants a password.
  [[nodiscard]] bool answers() const {
    kvstore::RedisPool pool(server());
    const kvstore::RedisCommand ping{"PING"};
    const auto r = pool.call({&ping, 1}, 100, std::chrono::steady_clock::now() + std::chrono::seconds(1));
    return r || r.error().code == Errc::permission_denied;
  }

  TempDir dir_;
  std::vector<std::string> more_;
  std::uint16_t port_;
  pid_t pid_ = -1;
};

}  // namespace sluice::test
