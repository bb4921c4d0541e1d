#pragma once
// A real etcd on free ports of the loopback, with its data in a directory of its own; stopped, continued, killed and
// started again at the test's word. Threading: construct and destroy on the main thread (the child dies with it).
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "common/etcd/options.h"
#include "common/http/client.h"
#include "tests/support/temp_dir.h"

namespace sluice::test {

class RealEtcd {
 public:
  [[nodiscard]] static bool installed() { return std::system("command -v etcd >/dev/null 2>&1") == 0; }

  explicit RealEtcd(std::vector<std::string> more = {}, bool tls = false)
      : more_(std::move(more)), scheme_(tls ? "https" : "http") {
    port_ = free_port();
    peer_port_ = free_port();
    start();
  }
  ~RealEtcd() { kill(); }
  RealEtcd(const RealEtcd&) = delete;

  [[nodiscard]] etcd::Options options() const { return {.endpoints = {{"127.0.0.1", port_}}}; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void start() {
    const std::string client = scheme_ + "://127.0.0.1:" + std::to_string(port_);
    const std::string peer = "http://127.0.0.1:" + std::to_string(peer_port_);
    std::vector<std::string> args{"etcd",
                                  "--data-dir",
                                  (dir_ / data_).string(),
                                  "--listen-client-urls",
                                  client,
                                  "--advertise-client-urls",
                                  client,
                                  "--listen-peer-urls",
                                  peer,
                                  "--initial-advertise-peer-urls",
                                  peer,
                                  "--initial-cluster",
                                  "default=" + peer,
                                  "--log-level",
                                  "error"};
    args.insert(args.end(), more_.begin(), more_.end());
    std::vector<char*> argv;
    for (auto& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      (void)!::freopen((dir_ / "log").c_str(), "a", stderr);
      ::execvp("etcd", argv.data());
      ::_exit(127);
    }
    await();
  }
  void signal(int number) const { ::kill(pid_, number); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  /// What comes after is another store.
  void lose_data() { data_ += "x"; }
  /// One call of the JSON gateway, as an operator makes it.
  std::string post(const std::string& target, const std::string& body) const {
    http::ClientRequest q;
    q.address = address();
    q.method = "POST";
    q.target = target;
    q.body = body;
    const auto r = http::request(q);
    return r ? r->body : r.error().message;
  }
  [[nodiscard]] const TempDir& dir() const { return dir_; }

  static std::uint16_t free_port() {
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
  /// Until it takes connections (of a TLS one, no more can be seen from here).
  void await() const {
    for (int i = 0; i < 500; ++i) {
      if (scheme_ == "http" ? post("/v3/kv/range", R"({"key":"eA=="})").find("header") != std::string::npos ||
                                  post("/v3/kv/range", R"({"key":"eA=="})").find("user name") != std::string::npos
                            : listens())
        return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    throw std::runtime_error("etcd does not start");
  }
  [[nodiscard]] bool listens() const {
    const int s = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(port_);
    const bool yes = ::connect(s, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0;
    ::close(s);
    return yes;
  }

  TempDir dir_;
  std::string data_ = "data";
  std::vector<std::string> more_;
  std::string scheme_;
  std::uint16_t port_ = 0, peer_port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace sluice::test
