#pragma once
// KV on its way in: frames are checked, decoded into reserved blocks, and committed; blocks become readable only when
// every byte of their ticket was verified.
//
//   progress thread    worker threads
//   on_frame --------> DecodePool: TicketBook::admit -> FrameDecoder -> Transfer::finish -> on_committed, note
//
// A transfer's life: expect (ticket issued) -> frames -> committed | failed | revoked. Its blocks are leased
// (HeldBlocks) until no worker writes for it any more, so a cancelled request's blocks are never reused under a writer.
// Threading: on_frame comes from the receiver's progress thread and only queues; decoding runs on `workers` threads;
// expect/revoke/expire from any thread. Events are called from worker or caller threads, without locks held.
// Failure: a frame that fails a check after its ticket was admitted fails the transfer; a frame without a right to be
// here (unknown, replayed or revoked ticket, wrong incarnation) is dropped, counted and logged.
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/log_gate.h"
#include "common/metrics.h"
#include "kvtransfer/flow/kv_receiver.h"
#include "kvtransfer/wire/ticket_book.h"
#include "node/ingest/decode_pool.h"
#include "node/ingest/transfer.h"
#include "node/kv/open_table.h"
#include "node/kv/profile_rates.h"

namespace sluice::node {

struct IngestEvents {
  std::function<void(const IngestResult&)> on_committed;
  std::function<void(RequestId, const Error&)> on_failed;
  ReleaseBlocks release;                                      // the transfer's block references
  std::function<void(std::span<const std::byte>)> on_note{};  // what a prefill node says; the transport's thread
};

/// Sends a note back over the connection a frame came by.
using SendNote = std::function<void(kv::ConnId, std::vector<std::byte>)>;

class KvIngest final : public kv::FrameSink {
 public:
  KvIngest(KvIdentity me, const kv::CodecRegistry& codecs, engine::KvPool& pool, const Clock& clock, unsigned workers,
           Metrics& metrics, IngestEvents events);
  ~KvIngest() override;

  /// Set before the first frame can come.
  void set_note_sender(SendNote send) { send_note_ = std::move(send); }

  /// Issues a ticket for KV of [0, tokens) into blocks; takes over one reference of each. It lists the codecs of the
  /// request's fallbacks: a transfer may go on under one of them, once.
  [[nodiscard]] Result<kv::Ticket> expect(const control::ReserveRequest& r, std::vector<engine::BlockHandle> blocks,
                                          kv::SealMode seal);
  /// The request was cancelled: nothing more is written for it. Unknown requests are ignored.
  void revoke(RequestId request);
  /// Those of one coordinator's legs.
  void revoke_all(control::LegSpace of);
  /// Fails every transfer whose ticket ran out.
  void expire();
  /// Measured speed of decoding per profile; what heartbeats report.
  [[nodiscard]] std::unordered_map<std::string, ProfileRate> rates() const { return rates_.get(); }
  /// Waits until what is queued is worked off. Transfers that are open stay so.
  void stop() { workers_.stop(); }

  // kv::FrameSink
  Result<> on_hello(kv::ConnId conn, std::span<const std::byte> bytes) override;
  void on_frame(kv::ConnId conn, std::span<const std::byte> header, kv::StagingBuffer payload) override;
  void on_note(kv::ConnId conn, std::span<const std::byte> bytes) override;
  void on_peer_down(kv::ConnId conn, const Error& why) override;

 private:
  using TransferPtr = std::shared_ptr<Transfer>;
  void handle(ArrivedFrame& f, DecodeScratch& scratch);
  void reject(const ArrivedFrame& f, const Error& why);
  void committed(const TransferPtr& t, const Transfer::Finished& f);
  void settle(const TransferPtr& t, const Error& why);

  const Admission admission_;
  const Clock& clock_;
  IngestEvents events_;
  SendNote send_note_;
  Counter wire_bytes_, raw_bytes_;
  Counters frames_;
  Counter good_frames_;
  Histogram decode_seconds_;
  LogGate refusals_;  // what is left of a cancelled transfer comes frame by frame
  kv::TicketBook book_;
  OpenTable<Transfer> transfers_;
  ProfileRates rates_;
  const FrameDecoder decoder_;
  DecodePool workers_;
};

}  // namespace sluice::node
