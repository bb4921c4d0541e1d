#pragma once
// A decode node's work: a leg from the coordinator's call until its last token.
//
//   reserve -> DecodeLoop::admit (blocks) -> KvIngest::expect (ticket) -> [KV arrives] -> mark_ready -> tokens -> end
//   a probed one: QualityProbe hears of the ticket, the reference and the first step's own logits
//   a bound one: Automata compiles its grammar meanwhile; the leg waits for KV and automaton
//   one that comes from another node: waits for go_on as well; one that goes to another: Moves
//
// Threading: reserve(), cancel(), cancel_all(), expire() on the control thread. notify() is called from any thread.
// Stop: the transport first, then stop(), which waits for the threads that write into the engine's memory before the
// engine.
#include <functional>
#include <string>
#include <unordered_map>

#include "common/trace/span.h"
#include "decode_node/automata.h"
#include "decode_node/coming.h"
#include "decode_node/decode_loop.h"
#include "decode_node/grammar_constraint.h"
#include "decode_node/moves.h"
#include "decode_node/quality_probe.h"
#include "decode_node/token_out.h"
#include "node/ingest/kv_ingest.h"

namespace sluice::decode {

/// What part of the KV pool's bytes may be kept beside it.
inline constexpr std::uint64_t kSwapShare = 4;

struct DecodeOptions {
  std::uint32_t max_seqs = 256;
  bool kv_on_demand = true;                   // sequences take blocks as their positions come, and may be parked
  std::optional<std::uint64_t> swap_bytes{};  // of memory for the KV of those that are; empty: kSwapShare of the pool's
  std::uint32_t ingest_workers = 1;
  kv::SealMode seal = kv::SealMode::encrypt;
  node::ExportOptions exporting;  // of sequences that move
};

/// What computes: references outlive the service.
struct DecodeEngine {
  engine::Model& model;
  engine::KvPool& pool;
  engine::PlanLimits limits;
  DecodeLoop::Speeds known = {};
  VocabularyPtr vocabulary = {};  // for grammars; null: legs that have one are refused
};

class DecodeService {
 public:
  /// Tells the coordinator whose leg it is, from any thread.
  using Notify = std::function<void(RequestId leg, const char* type, nlohmann::json body)>;
  DecodeService(const node::KvIdentity& me, const kv::CodecRegistry& codecs, DecodeEngine engine,
                const DecodeOptions& o, const Clock& clock, Metrics& metrics, Notify notify,
                trace::SpanSink* spans = nullptr, std::optional<MovesOutside> moves = {});
  ~DecodeService();

  /// Holds room for a leg. Its ticket, or nothing when all of its KV is computed here.
  [[nodiscard]] Result<std::optional<kv::Ticket>> reserve(const control::ReserveRequest& r);
  /// The blocks the leg held, or nothing if it was not here.
  std::optional<std::uint32_t> cancel(RequestId id);
  /// Nobody reads the tokens of this coordinator's legs any more.
  void cancel_all(control::LegSpace of);
  [[nodiscard]] HeldLegs held_by_others(control::LegSpace me) const { return loop_.held_by_others(me); }
  /// A leg goes to another node; it does not; what is missing of one that comes. unsupported where nothing sends.
  [[nodiscard]] Result<control::MoveReply> move(const control::MoveRequest& r);
  [[nodiscard]] Result<> stay(const control::StayRequest& r);
  [[nodiscard]] Result<> go_on(const control::GoOnRequest& r);
  [[nodiscard]] bool moves() const noexcept { return moves_ != nullptr; }
  /// Legs here, and copies of legs that have left whose end is not known yet.
  [[nodiscard]] std::size_t open_work() const { return loop_.figures().legs + (moves_ ? moves_->unconfirmed() : 0); }
  /// Of connections to other decode nodes.
  void on_note(std::span<const std::byte> bytes) {
    if (moves_) moves_->on_note(bytes);
  }
  void on_peer_down(const std::string& address, const Error& why) {
    if (moves_) moves_->on_peer_down(address, why);
  }

  /// Ends what waits too long; call now and then.
  void expire();

  /// Where received frames go, and what answers them.
  [[nodiscard]] kv::FrameSink& frames() noexcept { return ingest_; }
  void set_note_sender(node::SendNote send) { ingest_.set_note_sender(std::move(send)); }

  [[nodiscard]] DecodeFigures figures() const { return loop_.figures(); }
  [[nodiscard]] Automata::Figures grammars() const { return automata_.figures(); }
  [[nodiscard]] std::unordered_map<std::string, node::ProfileRate> rates() const { return ingest_.rates(); }
  /// Of what leaves.
  [[nodiscard]] std::unordered_map<std::string, node::ProfileRate> sending_rates() const {
    return moves_ ? moves_->rates() : std::unordered_map<std::string, node::ProfileRate>{};
  }
  void release_unused() {
    if (moves_) moves_->release_unused();
  }
  void stop();

 private:
  void on_committed(const node::IngestResult& r);
  void on_failed(RequestId id, const Error& why);
  /// Its own profile loses nothing. Whether its sender changed to another one is known when it is here.
  [[nodiscard]] bool travels_exactly(const control::ReserveRequest& r) const;
  /// Of a leg that comes from another decode node.
  [[nodiscard]] Result<> check_coming(const control::ReserveRequest& r) const;
  [[nodiscard]] Result<> want_grammar(const control::ReserveRequest& r);

  const DecodeOptions o_;
  const kv::CodecRegistry& codecs_;
  const Clock& clock_;
  const VocabularyPtr vocabulary_;
  Notify notify_;
  trace::SpanSink* spans_;  // null: nothing is traced
  TokenOut out_;
  QualityProbe probe_;
  DecodeLoop loop_;
  Histogram mask_seconds_;
  Automata automata_;
  std::unique_ptr<Moves> moves_;
  Coming coming_;
  node::KvIngest ingest_;
};

}  // namespace sluice::decode
