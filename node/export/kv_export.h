#pragma once
// KV on its way out: finished layers of a prefill chunk become sealed frames while later layers still compute.
//
//   forward thread          encoder threads          link
//   Export (FramePlanner) -> FrameQueue -> EncoderPool -> FrameOut
//
// An export's life: begin -> layer_done ... -> computed -> [last frame sent] -> confirmed by the decode node | failed |
// cancelled. Its blocks are leased (HeldBlocks) until no job reads them any more.
// Threading: layer_done() comes from the forward thread and only queues; encoding runs on `workers` threads; the other
// methods from any thread. on_end is called once per export, without locks held.
// Profile: the chosen one; where the request names others, each frame's is decided just before it is encoded
// (ProfileChoice), since that is the last moment at which a link that gave way can still be spared.
// Order: links take turns, and on a link requests do (LinkQueue).
// Memory: encoded bytes in flight are bounded by max_inflight_bytes, and on each link by kLinkWindowS of its speed;
// encoders wait beyond that. Payload buffers are recycled within the same bound; release_unused() gives back what a
// burst left.
#include <functional>
#include <string>
#include <unordered_map>

#include "common/metrics.h"
#include "kvtransfer/wire/handshake.h"
#include "node/export/encoder_pool.h"
#include "node/kv/open_table.h"
#include "node/kv/profile_rates.h"

namespace sluice::node {

struct ExportEvents {
  std::function<void(const ExportEnd&)> on_end;
  ReleaseBlocks release;
};

class KvExport {
 public:
  KvExport(const kv::KvLayout& layout, engine::KvPool& pool, const Clock& clock, const ExportOptions& o,
           Metrics& metrics, FrameOut& out, ExportEvents events);
  ~KvExport();

  void begin(ExportStart s);
  /// Layer `layer` of positions `tokens` is in the pool.
  void layer_done(RequestId request, kv::TokenRange tokens, std::uint32_t layer);
  /// Every position is computed; what is queued now is all there will be.
  void computed(RequestId request);
  void cancel(RequestId request);
  void fail(RequestId request, const Error& why);
  void on_note(const kv::TransferNote& note);
  /// Fails every export to an address whose connection broke.
  void on_peer_down(const std::string& address, const Error& why);
  /// Measured speed of encoding, and ratio, per profile.
  [[nodiscard]] std::unordered_map<std::string, ProfileRate> rates() const { return rates_.get(); }
  /// Returns payload memory that was not needed since the last call to the system; call every few seconds.
  void release_unused() { encoders_.release_unused(); }
  /// Waits for the encoders and lets go of all blocks. Exports that are open then end without on_end.
  void stop();

 private:
  using ExportPtr = std::shared_ptr<Export>;
  void queue(std::vector<FrameJob> jobs);
  void end(const ExportPtr& e, Result<> outcome);
  void count(const kv::Profile& profile, const Export::Sums& s);

  const kv::KvLayout layout_;
  const Clock& clock_;
  const ExportOptions options_;
  FrameOut& out_;
  ExportEvents events_;
  Counters sent_raw_, sent_wire_;
  Histogram encode_seconds_;
  OpenTable<Export> exports_;
  ProfileRates rates_;
  FrameQueue queue_;
  EncoderPool encoders_;
};

}  // namespace sluice::node
