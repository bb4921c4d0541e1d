#pragma once
// A TCP client that says exactly the bytes it is told: what a hostile or broken HTTP client would send.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::test {

class RawClient {
 public:
  /// `from`: the address it comes from, of 127.0.0.0/8.
  explicit RawClient(std::uint16_t port, int receive_buffer = 0, const char* from = nullptr)
      : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    timeval tv{5, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    if (from != nullptr) {
      ::inet_pton(AF_INET, from, &a.sin_addr);
      if (::bind(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0) throw std::runtime_error("bind failed");
    }
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0) throw std::runtime_error("connect failed");
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// False once the server no longer takes bytes.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// One read's worth; empty at the end, on a reset, or after 5 s of silence.
  std::string read_some() {
    char buf[16384];
    auto n = ::recv(fd_, buf, sizeof buf, 0);
    return n > 0 ? std::string(buf, static_cast<std::size_t>(n)) : std::string();
  }
  /// Everything up to the first byte after `mark`, or all there is.
  std::string read_until(std::string_view mark) {
    for (;;) {
      if (auto at = kept_.find(mark); at != std::string::npos) {
        std::string head = kept_.substr(0, at + mark.size());
        kept_.erase(0, head.size());
        return head;
      }
      std::string more = read_some();
      if (more.empty()) return std::exchange(kept_, {});
      kept_ += more;
    }
  }
  std::string read_all() {
    for (std::string more; !(more = read_some()).empty();) kept_ += more;
    return std::exchange(kept_, {});
  }
  /// One response with a Content-Length.
  std::string read_response() {
    std::string head = read_until("\r\n\r\n");
    auto at = head.find("content-length: ");
    if (at == std::string::npos) return head;
    auto length = std::stoul(head.substr(at + 16));
    while (kept_.size() < length) {
      std::string more = read_some();
      if (more.empty()) break;
      kept_ += more;
    }
    head += kept_.substr(0, length);
    kept_.erase(0, length);
    return head;
  }
  void shutdown_send() { ::shutdown(fd_, SHUT_WR); }
  void reset() {
    linger l{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
  std::string kept_;
};

}  // namespace sluice::test
