#pragma once
// Moves messages between daemons. A message = (id, small header, payload). The receiver owns all memory: it is asked
// for a buffer before payload bytes land, and may refuse. No remote addresses, no RMA.
//
// Lifecycle: create -> listen and/or connect -> send ... -> close -> destroy. Destroying a Transport fails every open
// send with `cancelled`, closes every connection (on_closed is called for each) and stops its progress thread.
// Threading: every method may be called from any thread but the destructor, which must not run in a handler; handler
// and done() calls come from the transport's progress thread, one at a time, and must not block. A handler may call any
// method; connect() and listen() resolve host names, so handlers give them numeric addresses.
// Order: the messages of one connection arrive in the order of their send() calls (for calls from several threads: in
// some order that keeps each thread's own). Nothing is promised between connections.
// Closing: close() still sends what was queued before it, delivers nothing more to the closing side, and is followed by
// on_closed on both sides. A send that fails says so in done(); done() with success means only that the buffer is free.
// Buffers: `payload` of send() must stay valid until done() was called, exactly once, on the progress thread.
// Bounds: a message over the limits below fails with invalid_argument; on receipt the limits are checked before
// anything is allocated, and a peer that breaks them is disconnected. The send queue is not bounded here: the caller
// (kvtransfer/flow) bounds it in bytes.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace sluice::kv {

/// One connection (either side), unique within a Transport.
using ConnId = StrongId<struct ConnTag, std::uint64_t>;
using MessageId = std::uint8_t;

inline constexpr std::size_t kMaxMessageHeader = 512;         // bytes
inline constexpr std::size_t kMaxMessagePayload = 64U << 20;  // bytes

struct Message {
  MessageId id = 0;
  std::span<const std::byte> header;   // copied during the call
  std::span<const std::byte> payload;  // borrowed until done()
};

class TransportHandler {
 public:
  virtual ~TransportHandler() = default;
  virtual void on_connected(ConnId conn, bool inbound) = 0;
  /// A payload of `payload_bytes` wants to land: return a buffer of exactly that size that stays valid until on_message
  /// or on_closed, or an empty span to refuse (the bytes are dropped and on_message is not called). Not called for
  /// empty payloads.
  virtual std::span<std::byte> on_payload(ConnId conn, MessageId id, std::span<const std::byte> header,
                                          std::size_t payload_bytes) = 0;
  /// The message is complete; payload is the buffer on_payload gave (or empty).
  virtual void on_message(ConnId conn, MessageId id, std::span<const std::byte> header,
                          std::span<std::byte> payload) = 0;
  /// The connection is over (closed by either side, peer dead or unreachable); every done() of its sends was called and
  /// nothing more comes for conn. Called once per connection.
  virtual void on_closed(ConnId conn, const Error& why) = 0;
};

using SendDone = std::move_only_function<void(Result<>)>;

/// A connection that is open now, and what carries it.
struct OpenPath {
  std::string peer;  // the address that was dialled, or the caller's host
  std::string lane;  // as describe() gives it
  bool inbound = false;
};

class Transport {
 public:
  virtual ~Transport() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;  // "loopback", "ucx"
  /// Starts accepting at "host:port" (port 0: any); returns the address peers use.
  [[nodiscard]] virtual Result<std::string> listen(const std::string& address) = 0;
  /// Opens a connection; on_connected or on_closed follows.
  [[nodiscard]] virtual Result<ConnId> connect(const std::string& address) = 0;
  /// Who listens at `address` asks those who connect to prove that they know `key`, and proves it in turn. Connections
  /// opened from now on do so. Nothing to do within one process.
  virtual void introduce(const std::string& address, const std::string& key) {
    static_cast<void>(address), static_cast<void>(key);
  }
  virtual void send(ConnId conn, const Message& m, SendDone done) = 0;
  virtual void close(ConnId conn) = 0;
  /// What carries the bytes of a connection, e.g. "tcp/lo" or "posix/memory"; for logs and the slow-path warning.
  [[nodiscard]] virtual std::string describe(ConnId conn) const = 0;
  /// Every connection that is open now; none of the in-process network.
  [[nodiscard]] virtual std::vector<OpenPath> open_paths() const = 0;
};

struct SlowPath {
  ConnId conn;
  std::string peer;  // the address that was dialled, or the caller's host
  std::string lane;  // as describe() gives it
};

struct UcxOptions {
  std::string tls = "tcp,self";              // explicit list: UCX's own choice may fall back silently
  std::string net_devices{};                 // empty: all
  std::chrono::milliseconds keepalive{500};  // a peer's death is seen within about two of these; at most 1 s
  std::chrono::milliseconds connect_timeout{5000};
  /// Whoever connects here must prove to know this; empty: anybody may. It is checked before anything of the stranger
  /// reaches UCX, and before he is given memory.
  std::string admission_key{};
  /// Called on the progress thread for each who could not prove it, with his address.
  std::function<void(const std::string& peer)> on_stranger{};
  /// Each connection sends as slowly as a link of this rate would; 0: as fast as it goes. For tests and demonstrations.
  double link_limit_bytes_per_s = 0;
  /// "first-last": ports for data sockets and for listen(":0"); empty: UCX_TCP_PORT_RANGE if that is set, else any.
  std::string port_range{};
  /// Called on the progress thread when a connection runs over TCP although `tls` names a faster transport: the caller
  /// warns loudly and counts it. make_node_transport() does.
  std::function<void(const SlowPath&)> on_slow_path{};
};

/// handler must outlive the transport.
[[nodiscard]] Result<std::unique_ptr<Transport>> make_ucx_transport(const UcxOptions& o, TransportHandler& handler);

/// In-process network: transports made from the same hub reach each other by the names they listen on.
class LoopbackHub;
[[nodiscard]] std::shared_ptr<LoopbackHub> make_loopback_hub();
[[nodiscard]] Result<std::unique_ptr<Transport>> make_loopback_transport(std::shared_ptr<LoopbackHub> hub,
                                                                         TransportHandler& handler);

}  // namespace sluice::kv
