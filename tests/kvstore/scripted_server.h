#pragma once
// A server on the loopback that says what a test gives it, whatever it is asked: as much at a time as the test says,
// again and again to each connection. Threading: one thread of its own, which ends with it.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "common/net/address.h"

namespace sluice::kvstore::test {

struct Script {
  std::string answer;
  std::size_t piece = std::size_t{1} << 16U;
  std::chrono::milliseconds between{0};
  bool close_at_once = false;  // reads nothing, says nothing
};

class ScriptedServer {
 public:
  explicit ScriptedServer(Script script) : script_(std::move(script)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&a), sizeof a);
    ::listen(listener_, 8);
    socklen_t n = sizeof a;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&a), &n);
    port_ = ntohs(a.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedServer() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] net::Address address() const { return {"127.0.0.1", port_}; }

 private:
  static bool readable(int fd) {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, 10) > 0;
  }
  void serve() {
    while (!stop_) {
      if (!readable(listener_)) continue;
      const int s = ::accept(listener_, nullptr, nullptr);
      if (!script_.close_at_once) answer(s);
      ::close(s);
    }
  }
  void answer(int s) {
    while (!stop_ && !readable(s)) {
    }
    for (std::size_t at = 0; !stop_ && at < script_.answer.size(); at += script_.piece) {
      const auto piece = script_.answer.substr(at, script_.piece);
      if (::send(s, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) return;
      std::this_thread::sleep_for(script_.between);
    }
    char drop[4096];  // until the client goes
    while (!stop_)
      if (readable(s) && ::recv(s, drop, sizeof drop, 0) <= 0) return;
  }

  const Script script_;
  const int listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace sluice::kvstore::test
