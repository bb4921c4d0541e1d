#pragma once
// Moves messages between daemons. A message = (id, small header, payload). The receiver owns all memory: it is asked
// for a buffer before payload bytes land, and may refuse. No remote addresses, no RMA.
//
// Lifecycle: create -> listen and/or connect -> send ... -> close -> destroy. Destroying a Transport stops its progress
// thread and fails every open send with `cancelled`.
// Threading: every method may be called from any thread; handler calls come from the transport's progress thread, one
// at a time, and must not block. A handler may call send().
// Buffers: `payload` of send() must stay valid until done() was called, exactly once, on the progress thread.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

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
  /// The peer is gone (closed, died, unreachable); nothing more comes for conn. Called once per connection.
  virtual void on_closed(ConnId conn, const Error& why) = 0;
};

using SendDone = std::move_only_function<void(Result<>)>;

class Transport {
 public:
  virtual ~Transport() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;  // "loopback", "ucx"
  /// Starts accepting at "host:port" (port 0: any); returns the address peers use.
  [[nodiscard]] virtual Result<std::string> listen(const std::string& address) = 0;
  /// Opens a connection; on_connected or on_closed follows.
  [[nodiscard]] virtual Result<ConnId> connect(const std::string& address) = 0;
  virtual void send(ConnId conn, const Message& m, SendDone done) = 0;
  virtual void close(ConnId conn) = 0;
  /// What carries the bytes of a connection, e.g. "tcp/lo" or "posix/memory"; for logs and the slow-path warning.
  [[nodiscard]] virtual std::string describe(ConnId conn) const = 0;
};

struct UcxOptions {
  std::string tls = "tcp,self";              // explicit list: UCX's own choice may fall back silently
  std::string net_devices;                   // empty: all
  std::chrono::milliseconds keepalive{500};  // peer failure is seen within about two of these
};

/// handler must outlive the transport.
[[nodiscard]] Result<std::unique_ptr<Transport>> make_ucx_transport(const UcxOptions& o, TransportHandler& handler);

/// In-process network: transports made from the same hub reach each other by the names they listen on.
class LoopbackHub;
[[nodiscard]] std::shared_ptr<LoopbackHub> make_loopback_hub();
[[nodiscard]] Result<std::unique_ptr<Transport>> make_loopback_transport(std::shared_ptr<LoopbackHub> hub,
                                                                         TransportHandler& handler);

}  // namespace sluice::kv
