#pragma once
// KV on its way in: frames are checked, decoded into reserved blocks, and committed; blocks become readable only when
// every byte of their ticket was verified.
//
// A transfer's life: expect (ticket issued) -> frames -> committed | failed | revoked. The transfer holds its own block
// references until no worker writes for it any more, so a cancelled request's blocks are never reused under a writer.
// Threading: on_frame comes from the receiver's progress thread and only queues; decoding runs on `workers` threads;
// expect/revoke/expire from any thread. Events are called from worker or caller threads, without locks held.
// Failure: a frame that fails a check after its ticket was admitted fails the transfer; a frame without a right to be
// here (unknown, replayed or revoked ticket, wrong incarnation) is dropped, counted and logged.
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/control/messages.h"
#include "common/metrics.h"
#include "engine/kv_pool.h"
#include "engine/policy/block_allocator.h"
#include "kvtransfer/flow/kv_receiver.h"
#include "kvtransfer/wire/frame_io.h"
#include "kvtransfer/wire/handshake.h"
#include "kvtransfer/wire/ticket_book.h"
#include "node/ingest/bounded_queue.h"
#include "node/kv/rate_meter.h"

namespace sluice::node {

struct IngestResult {
  RequestId request;
  double decode_s = 0;  // busy time of seal check and codec
  double wall_s = 0;    // ticket issued until committed
  std::uint64_t raw_bytes = 0, wire_bytes = 0;
  std::optional<control::ProfileChange> change;  // what came under a fallback of the request
};

struct IngestEvents {
  std::function<void(const IngestResult&)> on_committed;
  std::function<void(RequestId, const Error&)> on_failed;
  std::function<void(const std::vector<engine::BlockHandle>&)> release;  // the transfer's block references
  std::function<void(std::span<const std::byte>)> on_note{};  // what a prefill node says; the transport's thread
};

struct IngestIdentity {
  NodeId node;
  Incarnation incarnation;
  std::uint64_t model_hash = 0;
  kv::KvLayout layout;
};

/// Sends a note back over the connection a frame came by.
using SendNote = std::function<void(kv::ConnId, std::vector<std::byte>)>;

class KvIngest final : public kv::FrameSink {
 public:
  KvIngest(IngestIdentity me, const kv::CodecRegistry& codecs, engine::KvPool& pool, const Clock& clock,
           unsigned workers, Metrics& metrics, IngestEvents events);
  ~KvIngest() override;

  /// Set before the first frame can come.
  void set_note_sender(SendNote send) { send_note_ = std::move(send); }

  /// Issues a ticket for KV of [0, tokens) into blocks; takes over one reference of each. It lists the codecs of the
  /// request's fallbacks: a transfer may go on under one of them, once.
  [[nodiscard]] Result<kv::Ticket> expect(const control::ReserveRequest& r, std::vector<engine::BlockHandle> blocks,
                                          kv::SealMode seal);
  /// The request was cancelled: nothing more is written for it. Unknown requests are ignored.
  void revoke(RequestId request);
  void revoke_all();
  /// Fails every transfer whose ticket ran out.
  void expire();
  /// Measured decode speed per profile, raw bytes per second; what heartbeats report.
  [[nodiscard]] std::unordered_map<std::string, double> rates() const;
  void stop();

  // kv::FrameSink
  Result<> on_hello(kv::ConnId conn, std::span<const std::byte> bytes) override;
  void on_frame(kv::ConnId conn, std::span<const std::byte> header, kv::StagingBuffer payload) override;
  void on_note(kv::ConnId conn, std::span<const std::byte> bytes) override;
  void on_peer_down(kv::ConnId conn, const Error& why) override;

 private:
  struct Transfer;
  struct Job;
  using TransferPtr = std::shared_ptr<Transfer>;

  void work();
  void handle(Job& job, kv::FrameScratch& scratch, kv::OpenedFrame& opened);
  Result<> ingest(Transfer& t, Job& job, kv::FrameScratch& scratch, kv::OpenedFrame& opened);
  static Result<> note_profile(Transfer& t, const kv::FrameHeader& h);
  Result<> decode_into_blocks(Transfer& t, const kv::OpenedFrame& f, kv::FrameScratch& scratch);
  void reject(const Job& job, const Error& why);
  [[nodiscard]] TransferPtr begin(const kv::FrameHeader& h, const Job& job);
  void done(const TransferPtr& t, const Result<>& outcome);
  void settle(const TransferPtr& t, const Error& why);
  void give_back(Transfer& t);
  void learn(const kv::Ticket& ticket, double raw_bytes, double decode_s);

  IngestIdentity me_;
  const kv::CodecRegistry& codecs_;
  engine::KvPool& pool_;
  const Clock& clock_;
  IngestEvents events_;
  SendNote send_note_;
  Metrics& metrics_;
  prometheus::Counter &wire_bytes_, &raw_bytes_, &frames_;
  prometheus::Histogram& decode_seconds_;
  kv::TicketBook book_;

  mutable std::mutex mutex_;
  std::unordered_map<std::string, RateMeter> rates_;
  std::unordered_map<RequestId, TransferPtr> by_request_;
  std::unordered_map<std::string, TransferPtr> by_ticket_;  // key: the id's bytes
  BoundedQueue<Job> queue_;
  std::vector<std::thread> workers_;
};

}  // namespace sluice::node
