#pragma once
// The sending end of KV flow: connections by address, frames under the receiver's credit, notes back.
//
// A peer's life: first use -> connecting -> greeting (hello sent) -> ready -> down. A later use starts again. Frames
// queue per peer, in order within a tag (a request) and in turns between tags; a frame leaves when the receiver's
// window has room for its whole payload. Threading: public methods from any thread. Events and done() come from the
// transport's progress thread (done() also from the caller's, when a frame is refused at once), without locks held.
// Ownership: a payload belongs to the sender, which gives it back just before done(); that is called exactly once per
// frame. Failure: peer loss fails everything queued or in flight to it with `unavailable`.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "kvtransfer/flow/buffer_pool.h"
#include "kvtransfer/flow/credit.h"
#include "kvtransfer/flow/link_stats.h"
#include "kvtransfer/transport/transport.h"

namespace sluice::kv {

struct SenderEvents {
  std::function<void(const std::string& address, std::span<const std::byte> note)> on_note;
  std::function<void(const std::string& address, const Error& why)> on_peer_down;
};

struct SenderOptions {
  std::size_t max_queue_bytes = 256U << 20;  // per peer; more is refused with resource_exhausted
};

class KvSender final : public TransportHandler {
 public:
  KvSender(std::vector<std::byte> hello, const SenderOptions& o, const Clock& clock, SenderEvents events);
  /// The transport was made with this object as its handler; it must be destroyed before this.
  void attach(Transport& transport) { transport_ = &transport; }
  /// The transport is about to be destroyed: whatever is sent from now on fails with `unavailable`.
  void detach();

  void send_frame(const std::string& address, std::uint64_t tag, std::span<const std::byte> header, Buffer payload,
                  SendDone done);
  /// Sends bytes that need no credit. unavailable when no connection to the address is ready (none is opened for it),
  /// invalid_argument when they are longer than kMaxMessageHeader. Success is no promise that they arrive.
  [[nodiscard]] Result<> send_note(const std::string& address, std::span<const std::byte> note);
  /// Drops the tag's frames that have not left yet; their done() gets `cancelled`.
  void cancel(const std::string& address, std::uint64_t tag);
  using ProbeDone = std::move_only_function<void(Result<LinkStats>)>;
  /// Measures round trip and bandwidth with a few blocks that the receiver discards; 0 bytes: of 1 MiB, which is also
  /// the most.
  void probe(const std::string& address, std::size_t block_bytes, ProbeDone done);
  [[nodiscard]] std::vector<std::pair<std::string, LinkStats>> stats() const;
  /// Of one address; all zero while there is no connection.
  [[nodiscard]] LinkStats stats(const std::string& address) const;

  // TransportHandler
  void on_connected(ConnId conn, bool inbound) override;
  std::span<std::byte> on_payload(ConnId conn, MessageId id, std::span<const std::byte> header,
                                  std::size_t bytes) override;
  void on_message(ConnId conn, MessageId id, std::span<const std::byte> header, std::span<std::byte> payload) override;
  void on_closed(ConnId conn, const Error& why) override;

 private:
  struct Frame;
  struct Peer;
  struct Probe;
  using PeerPtr = std::shared_ptr<Peer>;
  /// Things to do once the mutex is free.
  using Later = std::vector<std::move_only_function<void()>>;

  [[nodiscard]] PeerPtr peer(const std::string& address, Later& later);
  [[nodiscard]] PeerPtr by_conn(ConnId conn) const;
  void pump(const PeerPtr& p, Later& later);
  void on_welcome(const PeerPtr& p, std::span<const std::byte> header, Later& later);
  void on_credit(const PeerPtr& p, std::span<const std::byte> header, Later& later);
  void on_probed(const PeerPtr& p, std::span<const std::byte> header, Later& later);
  void send_probe(const PeerPtr& p, std::size_t bytes, Later& later);
  void close(ConnId conn);
  void down(const PeerPtr& p, const Error& why, Later& later);
  static void run(Later& later);
  [[nodiscard]] LinkStats stats_of(const Peer& p) const;

  std::vector<std::byte> hello_;
  SenderOptions options_;
  const Clock& clock_;
  SenderEvents events_;
  Transport* transport_ = nullptr;
  mutable std::mutex mutex_;
  std::map<std::string, PeerPtr> peers_;
  std::unordered_map<ConnId, PeerPtr> conns_;
  std::vector<std::byte> probe_bytes_;
};

}  // namespace sluice::kv
