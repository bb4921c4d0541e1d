#pragma once
// KV on its way out: finished layers of a prefill chunk become sealed frames while later layers still compute.
//
// An export's life: begin -> layer_done ... -> computed -> [last frame sent] -> confirmed by the decode node | failed |
// cancelled. It holds its own block references until no worker reads them any more.
// Threading: layer_done() comes from the forward thread and only queues; encoding runs on `workers` threads; the other
// methods from any thread. on_end is called once per export, without locks held.
// Profile: the chosen one; where the request names others, each frame's is decided just before it is encoded
// (ProfileChoice), since that is the last moment at which a link that gave way can still be spared.
// Order: links take turns, and on a link requests do (LinkQueue).
// Memory: encoded bytes in flight are bounded by max_inflight_bytes, and on each link by kLinkWindowS of its speed;
// encoders wait beyond that. Payload buffers are recycled within the same bound; release_unused() gives back what a
// burst left.
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "common/metrics.h"
#include "engine/kv_pool.h"
#include "engine/policy/block_allocator.h"
#include "kvtransfer/flow/buffer_pool.h"
#include "kvtransfer/wire/frame_io.h"
#include "kvtransfer/wire/handshake.h"
#include "node/export/link_queue.h"
#include "node/export/profile_choice.h"
#include "node/kv/rate_meter.h"

namespace sluice::node {

struct LinkNow {
  double bytes_per_s = 0;  // what it carries now; 0 = not known
  double ahead_bytes = 0;  // handed over, not given back by the decode node
};

/// The way to a decode node, as the export needs it.
class FrameOut {
 public:
  virtual ~FrameOut() = default;
  using Done = std::move_only_function<void(Result<>)>;
  /// Sends one frame of request `tag` to `address`; done once, from any thread, when the payload may be dropped.
  virtual void send(const std::string& address, RequestId tag, std::span<const std::byte> header, kv::Buffer payload,
                    Done done) = 0;
  /// Drops frames of the request that were not sent yet (their done gets `cancelled`).
  virtual void cancel(const std::string& address, RequestId tag) = 0;
  /// From any thread, under the export's locks.
  [[nodiscard]] virtual LinkNow link(const std::string& address) const = 0;
};

/// More than this much of a link's time is not encoded ahead: it would only wait, and hold memory that others need.
inline constexpr double kLinkWindowS = 0.05;

struct ExportStart {
  RequestId request;
  std::string address;
  kv::Ticket ticket;
  const kv::Profile* profile = nullptr;
  std::vector<engine::BlockHandle> blocks;  // this node's, one reference each passes to the export
  ProfilePlan plan;  // where it may change to another profile; profiles[0] is `profile`, or all is empty
};

struct ExportEnd {
  RequestId request;
  kv::TicketId ticket;  // which of the request's exports it was, where it came again
  Result<> outcome;
  double encode_s = 0;   // codec and seal, busy time
  double wire_s = 0;     // first frame handed over until confirmed
  double exposed_s = 0;  // end of compute until confirmed
  std::uint64_t raw_bytes = 0, wire_bytes = 0;
  const kv::Profile* changed_to = nullptr;  // the other profile that frames went under
};

struct ExportEvents {
  std::function<void(const ExportEnd&)> on_end;
  std::function<void(const std::vector<engine::BlockHandle>&)> release;
};

struct ExportOptions {
  unsigned workers = 1;
  std::size_t target_frame_bytes = 1U << 20;
  std::size_t max_inflight_bytes = 64U << 20;
  bool overlap = true;  // false: frames are built only after the whole prompt is computed (for measuring overlap)
};

/// Measured behaviour of one profile: what heartbeats report.
struct ProfileRate {
  double encode_bps = 0, ratio = 0;
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
  [[nodiscard]] std::unordered_map<std::string, ProfileRate> rates() const;
  /// Returns payload memory that was not needed since the last call to the system; call every few seconds.
  void release_unused() { payloads_.release_unused(); }
  void stop();

 private:
  struct Export;
  struct Job;
  /// What frames of one profile took.
  struct Sums {
    double encode_s = 0;
    std::uint64_t raw_bytes = 0, wire_bytes = 0;
  };
  using ExportPtr = std::shared_ptr<Export>;
  [[nodiscard]] ExportPtr find(RequestId request) const;
  void queue_frames(const ExportPtr& e, const std::vector<kv::FrameSpec>& frames);
  void work();
  void encode(const Job& job, kv::FrameScratch& scratch);
  Result<std::size_t> build(const Job& job, kv::FrameScratch& scratch);
  [[nodiscard]] std::size_t pick_profile(const Job& job);
  [[nodiscard]] std::size_t link_window(const std::string& address) const;
  void sent(const ExportPtr& e, std::size_t bytes, const Result<>& r);
  void leave(const ExportPtr& e);
  void end(const ExportPtr& e, Result<> outcome);
  void count(const kv::Profile& profile, const Sums& s);
  void learn(const kv::Profile& profile, const Sums& s);

  kv::KvLayout layout_;
  engine::KvPool& pool_;
  const Clock& clock_;
  ExportOptions options_;
  Metrics& metrics_;
  FrameOut& out_;
  ExportEvents events_;
  prometheus::Histogram& encode_seconds_;

  kv::BufferPool payloads_;

  mutable std::mutex mutex_;
  std::unordered_map<RequestId, ExportPtr> exports_;
  struct Meters {
    RateMeter encode;  // raw bytes per second
    RateMeter ratio;   // raw bytes per wire byte
  };
  std::unordered_map<std::string, Meters> rates_;
  LinkQueue<Job> queue_;
  std::vector<std::thread> workers_;
};

}  // namespace sluice::node
