#pragma once
// The receiving end of KV flow (decode side): answers hellos, owns the staging memory, hands frames to the sink.
//
// Each accepted connection gets a window of credit; the sum of windows never exceeds the staging memory, so a slow sink
// stalls its senders instead of growing. A sender that overruns its window breaks the protocol and is disconnected.
// Staging memory is recycled (BufferPool) within what the windows allow: a peer that goes takes its share along.
// Threading: sink calls come from the transport's progress thread and must not block; send_note from any thread;
// staging buffers are released on any thread, also after this object is gone.
#include <memory>
#include <string>
#include <vector>

#include "kvtransfer/flow/staging.h"
#include "kvtransfer/transport/transport.h"

namespace sluice::kv {

/// Owned by the decode node.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  /// May this peer send? Its error goes back to the peer, which is then disconnected.
  virtual Result<> on_hello(ConnId conn, std::span<const std::byte> hello) = 0;
  virtual void on_frame(ConnId conn, std::span<const std::byte> header, StagingBuffer payload) = 0;
  virtual void on_note(ConnId conn, std::span<const std::byte> note) = 0;
  /// Once for every accepted hello.
  virtual void on_peer_down(ConnId conn, const Error& why) = 0;
};

struct ReceiverOptions {
  std::size_t staging_bytes = 256U << 20;
  std::size_t window_bytes = 32U << 20;     // per connection
  std::size_t max_frame_bytes = 16U << 20;  // payload of one frame
};

class KvReceiver final : public TransportHandler {
 public:
  KvReceiver(const ReceiverOptions& o, FrameSink& sink);
  ~KvReceiver() override;
  /// The transport was made with this object as its handler; it must be destroyed before this.
  void attach(Transport& transport);
  /// The transport is about to be destroyed: buffers released from now on give no credit.
  void detach();
  /// invalid_argument when the note is longer than kMaxMessageHeader, unavailable when the connection is over. Success
  /// is no promise: what a dying connection loses is reported by on_peer_down only.
  [[nodiscard]] Result<> send_note(ConnId conn, std::span<const std::byte> note);

  struct Figures {
    std::size_t connections = 0;
    std::uint64_t staged_bytes = 0;   // in buffers now
    std::uint64_t granted_bytes = 0;  // sum of windows, and what dead peers' buffers still hold
    std::uint64_t mapped_bytes = 0;   // of the staging pool: in buffers and kept for the next ones
    std::uint64_t violations = 0;     // peers cut off for breaking the protocol
  };
  [[nodiscard]] Figures figures() const;
  /// Gives staging memory that was not needed since the last call back to the system; call every few seconds.
  void release_unused();

  // TransportHandler
  void on_connected(ConnId conn, bool inbound) override;
  std::span<std::byte> on_payload(ConnId conn, MessageId id, std::span<const std::byte> header,
                                  std::size_t bytes) override;
  void on_message(ConnId conn, MessageId id, std::span<const std::byte> header, std::span<std::byte> payload) override;
  void on_closed(ConnId conn, const Error& why) override;

 private:
  struct State;  // shared with the buffers, which may outlive this
  void greet(ConnId conn, std::span<const std::byte> hello);
  void cut_off(ConnId conn);

  ReceiverOptions options_;
  FrameSink& sink_;
  std::shared_ptr<State> state_;
  std::vector<std::byte> discard_;  // probe payloads land here
};

}  // namespace sluice::kv
