#pragma once
// A prefill node's work: a prompt from the coordinator's call until its KV has arrived and is reported.
//
//   call -> TicketCheck -> RequestTable, PrefillLoop -> KvExport -> end -> report; a probed one: -> probe ->
//   ReferenceOut; a rated one's log-probabilities leave pass by pass
//
// Threading: check(), start(), cancel() and cancel_all() on the control thread; so is the end of an export, which
// Outside::post brings there: between an end and the loop's cancel no call of the coordinator can start the request
// anew. PrefillSink: engine thread. The rest from any thread.
// Stop: stop_engine(), so that no new frames come; then the transport's end, which the encoders may wait for; then
// stop().
#include <functional>
#include <string>

#include "common/log_gate.h"
#include "common/metrics.h"
#include "common/trace/span.h"
#include "node/export/kv_export.h"
#include "prefill_node/prefill_loop.h"
#include "prefill_node/reference_out.h"
#include "prefill_node/request_table.h"
#include "prefill_node/ticket_check.h"

namespace sluice::prefill {

struct PrefillOptions {
  std::size_t max_waiting = 1024;
  bool prefix_cache = true;
  node::ExportOptions exporting;
};

/// What computes: references outlive the service.
struct PrefillEngine {
  engine::Model& model;
  engine::KvPool& pool;
  engine::PlanLimits limits;
  double tokens_per_s = 0;  // as known before the first prompt; 0 = nothing
};

/// The rest of the node, as its work needs it.
struct PrefillOutside {
  node::FrameOut& frames;
  std::function<kv::LinkStats(const std::string& address)> link;
  ReferenceOut::Send send_note;
  std::function<void(std::function<void()>)> post;  // runs it on the control thread
  std::function<void(const control::PrefillDone&)> report;
  std::function<void(const control::PromptLogprobs&)> report_logprobs;  // from any thread; what went in stays in order
  trace::SpanSink* spans = nullptr;                                     // null: nothing is traced
};

class PrefillService final : public PrefillSink {
 public:
  PrefillService(const node::KvIdentity& me, const kv::CodecRegistry& codecs, PrefillEngine engine,
                 const PrefillOptions& o, const Clock& clock, Metrics& metrics, PrefillOutside outside);
  ~PrefillService() override;

  [[nodiscard]] Result<CheckedPrompt> check(const nlohmann::json& body) const { return check_.check(body); }
  /// already_exists while one of this id is open; else as PrefillLoop::submit.
  [[nodiscard]] Result<> start(CheckedPrompt p);
  /// Whether it was here.
  bool cancel(RequestId id);
  /// Those of one coordinator.
  void cancel_all(control::LegSpace of);
  [[nodiscard]] std::uint64_t queued_by_others(control::LegSpace me) const { return loop_.queued_by_others(me); }

  /// What a decode node says of a ticket.
  void on_note(std::span<const std::byte> bytes);
  void on_peer_down(const std::string& address, const Error& why);

  [[nodiscard]] PrefillFigures figures() const { return loop_.figures(); }
  [[nodiscard]] engine::PrefixChanges prefixes_since(std::uint64_t from) const { return loop_.prefixes_since(from); }
  [[nodiscard]] std::unordered_map<std::string, node::ProfileRate> rates() const { return export_.rates(); }
  [[nodiscard]] std::size_t open_requests() const { return requests_.size(); }
  void release_unused() { export_.release_unused(); }
  void stop_engine() { loop_.stop(); }
  void stop();

  // PrefillSink
  [[nodiscard]] bool on_admitted(RequestId id, const std::vector<engine::BlockHandle>& blocks,
                                 double tokens_per_s) override;
  void on_layer(RequestId id, std::uint32_t first, std::uint32_t count, std::uint32_t layer) override;
  void on_rated(RequestId id, std::uint32_t first, std::span<const engine::RatedToken> tokens) override;
  void on_computed(RequestId id, const PromptTimes& times) override;
  void on_failed(RequestId id, const Error& why) override;
  void on_probed(RequestId id, Result<std::span<const float>> logits) override;

 private:
  void on_export_end(const node::ExportEnd& e);

  const kv::KvLayout layout_;
  const Clock& clock_;
  PrefillOutside outside_;
  Counters ended_;
  TicketCheck check_;
  RequestTable requests_;
  ReferenceOut references_;
  PrefillLoop loop_;  // before the export, which gives blocks back to it to the end
  node::KvExport export_;
  LogGate bad_notes_;
};

}  // namespace sluice::prefill
