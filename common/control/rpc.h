#pragma once
// Control-plane RPC: length-prefixed CBOR over one connection per node, plain TCP or TLS, calls and notifications in
// both directions.
//
// Frame: u32 little-endian length, then CBOR {"t": type, "b": body} plus "id" on a call, or "re" (id answered) with
// either "b" or "e" (error) on a reply. Limits: kMaxFrame bytes, kMaxDepth nesting, kMaxQueued bytes waiting to be
// written (a peer that does not read is disconnected, since control messages are never droppable).
//
// A read takes whatever has come, often several messages; those are handled one after another.
// Threading: a Connection lives on one io_context thread; every method and handler runs there. It is kept alive by
// its own pending operations and by whoever holds the pointer. Failure: any protocol error closes the connection;
// every open call then completes with `unavailable`, and on_close is called once.
// With TLS nothing is read or sent before the handshake is over and `admit` has agreed; it has kHandshakeTimeout.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "common/control/encoded.h"
#include "common/result.h"
#include "common/tls/stream.h"

namespace sluice::control {

inline constexpr std::size_t kMaxFrame = 16U << 20;
inline constexpr std::size_t kMaxQueued = 64U << 20;
inline constexpr int kMaxDepth = 16;
inline constexpr std::chrono::seconds kHandshakeTimeout{5};

/// CBOR that was checked for depth and definite lengths before it is decoded (the decoder recurses per level).
[[nodiscard]] Result<nlohmann::json> decode_cbor(std::span<const std::uint8_t> bytes);

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Reply = std::function<void(Result<nlohmann::json>)>;
  struct Handlers {
    /// A call: answer through reply exactly once, now or later.
    std::function<void(const std::string& type, nlohmann::json body, Reply reply)> on_call;
    std::function<void(const std::string& type, nlohmann::json body)> on_notify;
    /// Asked first about each message, as its bytes, which are valid during the call. True: it was read here, and none
    /// of the others hears of it. Null: nobody wants bytes.
    std::function<bool(std::span<const std::uint8_t> message)> on_raw;
    std::function<void(const Error&)> on_close;
    /// May this peer go on? Asked once, with TLS only; nothing: it showed no certificate.
    std::function<Result<>(const std::optional<tls::Peer>&)> admit;
  };

  /// A TCP socket is a stream, too.
  Connection(tls::Stream stream, Handlers handlers);
  /// Begins reading. Call once.
  void start();
  void call(const std::string& type, nlohmann::json body, std::chrono::milliseconds timeout, Reply done);
  /// With a body that is CBOR already.
  void call(const std::string& type, const Encoded& body, std::chrono::milliseconds timeout, Reply done);
  void notify(const std::string& type, nlohmann::json body);
  void close(const Error& why);
  [[nodiscard]] bool open() const noexcept { return open_; }
  [[nodiscard]] std::string peer() const;
  /// The peer by its certificate; nothing: there is none.
  [[nodiscard]] const std::optional<tls::Peer>& certificate() const { return stream_.peer(); }

 private:
  struct Pending {
    Reply done;
    std::unique_ptr<boost::asio::steady_timer> timer;
  };
  void shake_hands();
  void lost(boost::system::error_code ec);
  void read();
  /// Handles the messages that have come as a whole.
  void take_messages();
  /// Of the next message, once its length is there; nothing: it has not come. Closes where it cannot be.
  [[nodiscard]] std::optional<std::uint32_t> next_length();
  void dispatch(std::span<const std::uint8_t> bytes);
  void dispatch_reply(nlohmann::json& m);
  /// Remembers who waits for the answer to the next call; its id.
  std::uint64_t await(const std::string& type, std::chrono::milliseconds timeout, Reply done);
  void send(const nlohmann::json& m);
  /// Bytes of a message behind room for its length.
  void send(std::vector<std::uint8_t> frame);
  void write_next();

  tls::Stream stream_;
  Handlers handlers_;
  bool open_ = true;
  bool ready_ = false;  // to read and to send
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, Pending> pending_;
  bool heard_ = false;            // a message's length has come
  std::vector<std::uint8_t> in_;  // what was read and is not handled yet, then room; owned by the outstanding read
  std::size_t filled_ = 0;        // of in_
  std::size_t taken_ = 0;         // of that, handled
  std::deque<std::vector<std::uint8_t>> out_;
  std::size_t queued_ = 0;
};

}  // namespace sluice::control
