#pragma once
// Sequences on their way to another decode node (docs/adr/0011), at their source: their KV leaves while they go on.
//
//   start -> [rows computed so far leave] -> rows as they come -> halted (told) -> confirmed or failed (told)
//         -> let_go (the leg was cancelled: it is elsewhere now; or has ended) | stay (it goes on here)
// A copy of a leg that halted is told of after the leg was let go, too, if its end comes within a second: it says how
// fast the link is.
//
// Threading: start(), stay(), cancels and expire() on the control thread, where Outside::post brings ends of exports;
// rows come from the engine thread. A mutex guards the table; the core's is taken inside it, never the other way round.
// Failure: a copy that fails is told once. A leg that had not halted goes on and will not halt; one that had stays so,
// since its tokens may be at the target, until its coordinator says what is to become of it.
#include <functional>
#include <mutex>
#include <unordered_map>

#include "common/control/move_messages.h"
#include "common/log_gate.h"
#include "common/metrics.h"
#include "common/trace/span.h"
#include "decode_node/decode_loop.h"
#include "decode_node/decode_trace.h"
#include "node/export/kv_export.h"
#include "node/kv/kv_identity.h"

namespace sluice::decode {

/// The rest of the node, as moves need it.
struct MovesOutside {
  node::FrameOut& frames;
  std::function<void(std::function<void()>)> post;  // runs it on the control thread
};

class Moves {
 public:
  using Notify = std::function<void(RequestId leg, const char* type, nlohmann::json body)>;
  Moves(const node::KvIdentity& me, const kv::CodecRegistry& codecs, engine::KvPool& pool, DecodeLoop& loop,
        const node::ExportOptions& o, const Clock& clock, Metrics& metrics, MovesOutside outside, Notify notify,
        trace::SpanSink* spans = nullptr);

  /// invalid_argument or stale: of the ticket, or a profile that is not lossless; else as DecodeLoop::leave.
  [[nodiscard]] Result<control::MoveReply> start(const control::MoveRequest& r);
  /// As DecodeLoop::stay; its copy ends.
  [[nodiscard]] Result<> stay(const control::StayRequest& r);
  /// Its leg is gone. Any thread, without the core's mutex.
  void let_go(RequestId id, std::uint32_t attempt);
  /// Copies of legs that were let go, whose end is not known yet. Any thread.
  [[nodiscard]] std::size_t unconfirmed() const;
  /// Ends copies that take longer than they may.
  void expire();

  /// What targets say; what becomes of the connections to them.
  void on_note(std::span<const std::byte> bytes);
  void on_peer_down(const std::string& address, const Error& why) { export_.on_peer_down(address, why); }

  /// Measured speed of encoding, and ratio, per profile.
  [[nodiscard]] std::unordered_map<std::string, node::ProfileRate> rates() const { return export_.rates(); }
  void release_unused() { export_.release_unused(); }
  /// After the loop's end.
  void stop() { export_.stop(); }

 private:
  struct Open {
    std::uint32_t attempt = 0, stop = 0, sent = 0;
    TimePoint began{}, deadline{};
    std::optional<TimePoint> halted;
    bool over = false;    // confirmed or failed, and told
    bool let_go = false;  // only its end is awaited
    kv::TicketId ticket;
    CopyTrace trace;
  };
  void on_rows(RequestId id, const kv::TicketId& ticket, const LegRows& rows);
  void send(RequestId id, Open& m, std::uint32_t computed);
  void drop(RequestId id, std::uint32_t attempt);
  void on_export_end(const node::ExportEnd& e);

  const node::KvIdentity me_;
  const kv::CodecRegistry& codecs_;
  const std::uint32_t every_;  // positions that are sent together while the sequence goes on
  DecodeLoop& loop_;
  const Clock& clock_;
  MovesOutside outside_;
  Notify notify_;
  trace::SpanSink* spans_;  // null: nothing is traced
  Counters ended_;
  Histogram exposed_seconds_;
  LogGate bad_notes_;
  mutable std::mutex mutex_;
  std::unordered_map<RequestId, Open> open_;
  node::KvExport export_;
};

}  // namespace sluice::decode
