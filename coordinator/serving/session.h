#pragma once
// One leg's life. Plain state, parted by who may change it; see docs/walls.md.
//
//   waiting -> reserving -> prefilling -> decoding -> [reporting] -> ended
//      ^___________|____________|___________|   (a node failed: placed again, tokens already sent are replayed)
//
// While it decodes it may move to another decode node (moving.h).
// reporting: the last token is out, the prefill node's figures are still on their way (at most kReportGrace), or the
// log-probabilities of the prompt, without which a request that wants them does not end well.
// One deadline, one cancel, one terminal event: `ended` is entered exactly once.
#include <memory>
#include <string>
#include <vector>

#include "common/control/messages.h"
#include "common/metrics.h"
#include "coordinator/api/backend.h"
#include "coordinator/cluster/cluster_view.h"
#include "coordinator/policy/intake.h"
#include "coordinator/serving/leg_trace.h"
#include "coordinator/serving/moving.h"

namespace sluice::coordinator {

enum class SessionState { waiting, reserving, prefilling, decoding, reporting, ended };
[[nodiscard]] std::string_view name(SessionState s) noexcept;

/// What the client asked. Set by Legs::start(), but for the time waited, which counts until it was placed last, and the
/// length of who set none (LegPlacer).
struct Asked {
  LegSpec spec;
  RequestFeatures features;
  std::string slo_class;
  /// Its answer is bound to a grammar: only some decode nodes may take it.
  [[nodiscard]] bool bound() const noexcept { return !spec.sampling.grammar.empty(); }
};

/// Where it runs, and what was expected of that: of the present attempt, or of the last one. LegPlacer's.
struct Attempt {
  std::uint32_t number = 0;  // of the attempt: a late answer to an earlier one is recognised
  std::uint32_t given = 0;   // numbers so far; moves take one, too
  NodeId prefill, decode;    // prefill: none when the decode node computes the whole prompt
  std::string profile;
  Candidate chosen;       // what was predicted, in the policies' own terms
  bool local = false;     // the decode node computes the whole prompt
  std::uint32_t cut = 0;  // prompt positions before it come from the prefill node, see Candidate
  double predicted_ttft_s = 0, predicted_tpot_s = 0;
  double kl = 0;  // of the profile, or of the worse one after a change
  ChoiceReason reason = ChoiceReason::best;
  std::size_t considered = 0;
  TimePoint decided{};
  double came_back_s = 0;            // since it was received, when the last attempt failed
  bool trial = false;                // runs under a profile that was left, to see whether it keeps its quality again
  bool probed = false;               // the nodes compare what received and exact KV make the model say
  std::vector<control::KvWay> ways;  // the profile, then those its sender may change to; empty: none
  double link_bps = 0;               // what the sender compares its link with; 0 = not known
  // What it holds in this coordinator's account; LegAccount's.
  DecodePlace place;                 // on the decode node
  std::uint64_t prefill_tokens = 0;  // queued on the prefill node
  bool prefill_reported = false;     // nothing is held there any more
  std::uint64_t local_tokens = 0;    // of the prompt, that the decode node has still to compute in chunks
  std::uint32_t rated = 0;           // prompt tokens whose log-probabilities came; LegEvents'
  bool moved = false;                // it decodes on another node than was decided; LegMoves'
};

/// What of the model decides an answer's bits.
struct ModelBits {
  std::string hash, kv_dtype;
  std::uint64_t codecs = 0;  // what the profiles are made of
  friend bool operator==(const ModelBits&, const ModelBits&) = default;
};

/// What the client has been given, and what binds a further attempt to the ones before.
struct Answer {
  std::vector<TokenId> emitted;  // in order
  std::optional<TimePoint> first_token;
  TimePoint last_token{};
  NodeBits prefill_bits, decode_bits;  // of the nodes that began it
  ModelBits model;
  std::optional<control::ProfileChange> change;  // that its sender made, in the KV that tokens were made from
  int resumes = 0;                               // after a failure
  int returns = 0;                               // when its decode node had no room for it any more
};

/// What the nodes measured. LegEvents'.
struct Figures {
  double node_queue_s = 0, prefill_s = 0, encode_s = 0, wire_s = 0, decode_s = 0, exposed_s = 0, first_step_s = 0;
  std::uint64_t raw_bytes = 0, wire_bytes = 0;  // of all attempts
  std::uint64_t link_bytes = 0;
  double link_busy_s = 0;
  bool mixed = false;                          // the KV came under two profiles
  std::uint32_t cached_tokens = 0;             // of the prompt, that its last prefill node did not compute
  std::optional<std::uint32_t> spared_tokens;  // that none of them computed, where it was placed more than once
  // Chunks of the prompt on the decode node: waiting for a turn, computing, and how many tokens that were.
  double local_queue_s = 0, local_s = 0;
  std::uint32_t local_tokens = 0;
  // How often it gave up its blocks and got its KV back on the nodes where it ended or that gave it back, by the way
  // that came; and for how long it was without.
  std::uint32_t swapped = 0, recomputed = 0;
  double parked_s = 0;
};

/// How it ended.
struct Ending {
  std::string reason;          // as the decode node says
  TimePoint finished{};        // when it said so
  std::optional<Error> error;  // why it failed
};

/// Output tokens of a leg that another coordinator placed, at most: nobody tells.
inline constexpr std::uint32_t kOthersLimit = 1024;

struct Session {
  RequestId id;
  SessionState state = SessionState::waiting;
  std::shared_ptr<LegSink> sink;  // let go after the terminal event
  Asked asked;
  Attempt run;
  Answer answer;
  Figures seen;
  Ending end;
  MoveHistory moves;                // LegMoves'
  std::unique_ptr<LegTrace> trace;  // null: the request is not traced

  /// Holds something on nodes that must be taken back if it fails.
  [[nodiscard]] bool placed() const noexcept {
    return state == SessionState::reserving || state == SessionState::prefilling || state == SessionState::decoding;
  }
  /// It was placed once.
  [[nodiscard]] bool undisturbed() const noexcept { return answer.resumes == 0 && answer.returns == 0; }
  /// It takes KV blocks as its tokens come. Who was given back twice takes all at once, and is not given back again.
  [[nodiscard]] bool grows() const noexcept { return answer.returns < 2; }
  /// The decode node computes none of the prompt but its last token.
  [[nodiscard]] bool split() const noexcept { return !run.local && run.cut == asked.features.split_cut(); }
  /// "split", "colocated" (the decode node computes the whole prompt), "cut" (the rest of it).
  [[nodiscard]] std::string_view mode() const noexcept;
  /// As it is shown: "none" where no KV travels.
  [[nodiscard]] std::string shown_profile() const { return run.local ? "none" : run.profile; }
  /// A node's report is of the present attempt, as far as the node says.
  [[nodiscard]] bool reports_now(std::uint32_t attempt) const noexcept { return attempt == 0 || attempt == run.number; }
  /// The log-probabilities of the prompt's tokens are here, as far as they were asked for.
  [[nodiscard]] bool rated() const noexcept {
    return !asked.spec.prompt_logprobs || run.rated + 1 >= asked.features.prompt_tokens;
  }
  /// What it asks of a node now: as it was asked, and how far it is.
  [[nodiscard]] RequestFeatures asks_now(const OutputLengths& lengths) const;
  [[nodiscard]] Turn turn() const noexcept { return {asked.spec.priority, id}; }
  [[nodiscard]] LegStats stats() const;
  void explain(LegStats& out) const;
  [[nodiscard]] std::optional<double> ttft_s() const;
  /// Mean time per output token after the first; from the second token on.
  [[nodiscard]] std::optional<double> tpot_s() const;
  /// Of one that has ended well: its latencies were within what it was promised.
  [[nodiscard]] bool met_ttft() const;
  [[nodiscard]] bool met_tpot() const;
  [[nodiscard]] bool met_objectives() const { return met_ttft() && met_tpot(); }
  /// Names the request beside what is measured of it: by its trace, or by its own id where none is kept.
  [[nodiscard]] Exemplar exemplar() const noexcept {
    if (trace) return {"trace_id", trace->trace_id()};
    return {"request_id", asked.spec.request_id};
  }
  /// What the policies learn from. Figures of the prefill node are there once it has reported.
  [[nodiscard]] Measured measured() const;
};

using SessionPtr = std::shared_ptr<Session>;

/// Moves that came about, for views.
[[nodiscard]] nlohmann::json moves_json(const std::vector<MoveRecord>& moves);

}  // namespace sluice::coordinator
