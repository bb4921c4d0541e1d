#pragma once
// How two transports that cannot yet talk find each other: over one plain TCP socket each sides sends a Greeting (who
// it is in the fabric's own terms), then both keep the socket open as a lifeline: it closes when the peer's process
// ends.
//
// Why not the fabric's own connection manager: UCX's listener ends the process when a stranger sends it other bytes
// (docs/adr/0003-ucx-active-messages.md). Here the first bytes from a stranger are checked and bounded, and where the
// listener has a key, only who proves to know it gets any further: a keyed hash over who the greeter is in the fabric,
// so that a proof that was overheard is no use for another address. The listener proves it too.
// Threading: one thread at a time. Sockets never block; their owner waits for them edge-triggered.
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/digest.h"
#include "common/net/address.h"
#include "common/result.h"
#include "kvtransfer/transport/wakeup.h"

namespace sluice::kv {

/// An address after name resolution (which may block: not on a progress thread).
class SockAddr {
 public:
  [[nodiscard]] static Result<SockAddr> resolve(const net::Address& a);
  [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t size() const noexcept { return size_; }
  [[nodiscard]] int family() const noexcept { return storage_.ss_family; }

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

struct Greeting {
  std::uint64_t key = 0;          // marks what is meant for this connection of the greeter; random
  std::vector<std::byte> fabric;  // the greeter's address in the fabric
  std::optional<Digest> proof{};  // that the greeter knows the listener's key
};
/// The proof of a greeting; `answers`: the key of the greeting that the listener answers, 0 from who connects.
[[nodiscard]] Digest prove(const std::string& admission_key, const Greeting& g, std::uint64_t answers);
[[nodiscard]] bool proves(const std::string& admission_key, const Greeting& g, std::uint64_t answers);
inline constexpr std::size_t kMaxFabricAddress = 16U << 10;  // bytes

class GreetingSocket {
 public:
  [[nodiscard]] static Result<GreetingSocket> connect(const SockAddr& to, const Greeting& ours);
  explicit GreetingSocket(FileDescriptor accepted);
  void say(const Greeting& ours);
  /// Moves bytes until the socket would block. The peer's greeting, once, when it is complete. An error ends the
  /// connection: the peer closed it (unavailable) or is none of us (data_corrupt).
  [[nodiscard]] Result<std::optional<Greeting>> advance();
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// The other end's numeric host, with its port if asked for.
  [[nodiscard]] std::string peer(bool with_port) const;

 private:
  [[nodiscard]] Result<> flush();
  [[nodiscard]] Result<std::optional<Greeting>> parse();

  FileDescriptor fd_;
  std::vector<std::byte> out_, in_;
  bool greeted_ = false;
};

class GreetingListener {
 public:
  [[nodiscard]] static Result<GreetingListener> create(const net::Address& at);
  /// Port 0 is a free one of `ports`, where those name any. resource_exhausted: every one is taken.
  [[nodiscard]] static Result<GreetingListener> create(const net::Address& at, net::PortRange ports);
  /// The next stranger, if one waits.
  [[nodiscard]] std::optional<GreetingSocket> accept() const;
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  FileDescriptor fd_;
  std::uint16_t port_ = 0;
};

}  // namespace sluice::kv
