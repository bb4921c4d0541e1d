#pragma once
// One leg's life: what was asked, where it runs, what was measured. Plain state; Serving moves it along.
//
//   waiting -> reserving -> prefilling -> decoding -> [reporting] -> ended
//      ^___________|____________|___________|   (a node failed: placed again, tokens already sent are replayed)
//
// reporting: the last token is out, the prefill node's figures are still on their way (at most kReportGrace).
// One deadline, one cancel, one terminal event: `ended` is entered exactly once.
#include <memory>
#include <string>
#include <vector>

#include "common/control/messages.h"
#include "coordinator/api/backend.h"
#include "coordinator/cluster/cluster_view.h"
#include "coordinator/policy/intake.h"

namespace sluice::coordinator {

enum class SessionState { waiting, reserving, prefilling, decoding, reporting, ended };
[[nodiscard]] std::string_view name(SessionState s) noexcept;

struct Session {
  RequestId id;
  LegSpec spec;
  std::shared_ptr<LegSink> sink;
  SessionState state = SessionState::waiting;
  RequestFeatures features;
  std::string slo_class;
  bool colocated = false;

  // Where it runs now. `placement` counts attempts, so that a late answer to an earlier one is recognised.
  std::uint32_t placement = 0;
  NodeId prefill, decode;
  std::string profile;
  Candidate chosen;  // split legs: what was predicted, in the policies' own terms
  double predicted_ttft_s = 0, predicted_tpot_s = 0;
  double kl = 0;                                 // of the profile, or of the worse one after a change
  std::vector<control::KvWay> ways;              // the profile, then those its sender may change to; empty: none
  double link_bps = 0;                           // what the sender compares its link with; 0 = not known
  std::optional<control::ProfileChange> change;  // that it did, in the KV that tokens were made from
  bool mixed = false;                            // as change, or as the prefill node says
  ChoiceReason reason = ChoiceReason::best;
  std::size_t considered = 0;
  NodeBits prefill_bits, decode_bits;  // of the nodes that began it
  std::uint32_t blocks = 0;            // held on the decode node, in our account
  std::uint64_t prefill_tokens = 0;    // queued on the prefill node, in our account
  bool prefill_reported = false;
  bool trial = false;   // runs under a profile that was left, to see whether it keeps its quality again
  bool probed = false;  // the nodes compare what received and exact KV make the model say

  std::vector<TokenId> emitted;  // tokens already given to the sink, in order
  TimePoint decided{};
  std::optional<TimePoint> first_token;
  TimePoint last_token{};
  // Measured by the nodes.
  double node_queue_s = 0, prefill_s = 0, encode_s = 0, wire_s = 0, decode_s = 0, exposed_s = 0, first_step_s = 0;
  std::uint64_t raw_bytes = 0, wire_bytes = 0;
  std::uint64_t link_bytes = 0;
  double link_busy_s = 0;
  int resumes = 0;
  std::optional<Error> error;  // why it failed
  // Set in reporting.
  std::string end_reason;
  TimePoint finished{};

  /// Holds something on nodes that must be taken back if it fails.
  [[nodiscard]] bool placed() const noexcept {
    return state == SessionState::reserving || state == SessionState::prefilling || state == SessionState::decoding;
  }
  /// A node's report is of the present placement, as far as the node says.
  [[nodiscard]] bool reports_now(std::uint32_t attempt) const noexcept { return attempt == 0 || attempt == placement; }
  [[nodiscard]] Turn turn() const noexcept { return {spec.priority, id}; }
  [[nodiscard]] LegStats stats() const;
  [[nodiscard]] std::optional<double> ttft_s() const;
  /// Mean time per output token after the first; from the second token on.
  [[nodiscard]] std::optional<double> tpot_s() const;
  /// What the policies learn from. Figures of the prefill node are there once it has reported.
  [[nodiscard]] Measured measured() const;
};

}  // namespace sluice::coordinator
