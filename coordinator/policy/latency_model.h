#pragma once
// Predicted TTFT and TPOT of a candidate (prefill node, decode node, profile), with parameters learned online per node
// and per link.
//
// A split request is a pipeline: KV that is computed is encoded, sent and decoded while the rest is computed. Frames
// through encoder, wire and decoder take the slowest of the three in full, plus one frame of the other two to fill and
// drain. That either ends behind the computation, which leaves the last frames for it (a share `tail` of the KV), or
// runs beside it from the first frames on (after a share `head` of the computation). How much that is follows from the
// node's passes and frames, see overlap.h. A link that is still busy with earlier requests holds the tail of the
// pipeline back: requests share it, so that each holds a new one up by no more than the new one's own time on it.
//
// Learned: compute time of a prompt per prefill node (prompt_time.h); time of a step (fixed,
// per sequence, per token of context) per decode node; codec speed per node and profile; bandwidth per link; what a
// request costs whatever its size, per pair; per machine, what nodes that compute there at the same time cost each
// other (host_load.h). Reported figures (tables, probes, heartbeats) are where learning starts. How busy nodes and
// links are is the model's own account, corrected whenever a request says when it was through.
//
// Pure logic, time given; not thread-safe. Nothing between bind() and placed() allocates.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "common/result.h"
#include "coordinator/policy/bayes_linear.h"
#include "coordinator/policy/candidates.h"
#include "coordinator/policy/directory.h"
#include "coordinator/policy/estimate.h"
#include "coordinator/policy/host_load.h"
#include "coordinator/policy/link_account.h"
#include "coordinator/policy/overlap.h"
#include "coordinator/policy/prompt_time.h"
#include "coordinator/policy/types.h"
#include "coordinator/policy/work_account.h"

namespace sluice::coordinator {

/// Assumed until a node has measured itself; only ordering before the first request depends on them.
inline constexpr double kDefaultTokensPerS = 2000, kDefaultLinkBps = 1e9, kDefaultCodecBps = 1e9, kDefaultStepS = 0.01;
inline constexpr double kDefaultFixedS = 0.001;
/// A step is mostly weight reads, shared by the batch: the share of a reported step that is first taken to grow with
/// it.
inline constexpr double kBatchSlope = 0.25;

class LatencyModel {
 public:
  explicit LatencyModel(Directory& names) : names_(names) {}

  /// Follows the bound snapshot; call after Directory::bind said that something changed.
  void grow(const ClusterSnapshot& c);

  // Parts of a prediction, by index into the bound snapshot. Each takes over what the snapshot reports first.
  [[nodiscard]] double queue_s(const ClusterSnapshot& c, std::size_t p, TimePoint now);
  /// Positions [had, to) of a prompt; nothing where the node has them all.
  [[nodiscard]] double prefill_s(const ClusterSnapshot& c, std::size_t p, double had, double to, TimePoint now);
  /// Of a prompt whose computation takes prefill_s.
  [[nodiscard]] Overlap overlap(const ClusterSnapshot& c, std::size_t p, double had, double to, double prefill_s,
                                TimePoint now);
  [[nodiscard]] const Estimate& encode(const ClusterSnapshot& c, std::size_t p, std::size_t f, TimePoint now);
  [[nodiscard]] const Estimate& decode(const ClusterSnapshot& c, std::size_t d, std::size_t f, TimePoint now);
  [[nodiscard]] const Estimate& bandwidth(const ClusterSnapshot& c, std::size_t p, std::size_t d, TimePoint now) {
    return bandwidth(link(p, d), c.link(p, d), now);
  }
  [[nodiscard]] double link_wait_s(const ClusterSnapshot& c, std::size_t p, std::size_t d, TimePoint now) const {
    return link_wait_s(link(p, d), c.link(p, d), now);
  }
  /// Until what was placed before is through at a node's encoder, or decoder.
  [[nodiscard]] double encode_wait_s(std::size_t p, TimePoint now) const {
    return prefills_[names_.prefill[p]].encoder.backlog_s(now, 1);
  }
  [[nodiscard]] double decode_wait_s(std::size_t d, TimePoint now) const {
    return decodes_[names_.decode[d]].decoder.backlog_s(now, 1);
  }
  [[nodiscard]] double fixed_s(std::size_t p, std::size_t d) const { return fixed_s(link(p, d)); }
  /// Of any request.
  [[nodiscard]] double fixed_s() const { return fixed_.known() ? fixed_.value() : kDefaultFixedS; }
  /// Requests placed per second, lately; and the mean KV bytes of one, 0 before the first.
  [[nodiscard]] double prefill_rate(std::size_t p, TimePoint now) {
    return rates_.rate(prefills_[names_.prefill[p]].placed, now);
  }
  [[nodiscard]] double decode_rate(std::size_t d, TimePoint now) {
    return rates_.rate(decodes_[names_.decode[d]].placed, now);
  }
  [[nodiscard]] double mean_bytes() const noexcept { return mean_bytes_; }
  /// A step with one more sequence of `context` tokens, and the first step of a request in it.
  [[nodiscard]] double tpot_s(const ClusterSnapshot& c, std::size_t d, double context, TimePoint now) {
    return step_s(c, d, c.decodes[d].seqs + 1.0, context, now);
  }
  /// A step of so many sequences.
  [[nodiscard]] double step_s(const ClusterSnapshot& c, std::size_t d, double seqs, double context, TimePoint now);
  [[nodiscard]] double first_s(std::size_t d, double tpot_s) const;

  /// Fills the table's columns by pair, of the nodes it lists.
  void fill_pairs(const ClusterSnapshot& c, TimePoint now, CandidateTable& t);

  /// Reads a pair's figures ahead of their use: of a large cluster's pairs few are in cache.
  void touch(const ClusterSnapshot& c, std::size_t p, std::size_t d) const noexcept {
    __builtin_prefetch(&c.link(p, d));
    const auto* l = reinterpret_cast<const char*>(&link(p, d));
    __builtin_prefetch(l);
    __builtin_prefetch(l + 64);
  }

  /// Everything of one candidate; fills stages, bytes and model_ttft_s of `k`, whose indices and cut are set.
  void predict(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now, Candidate& k);
  /// What a candidate needs whose decode node computes all: its step, and what a request costs as such.
  void predict_step(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now, Candidate& k);

  /// The candidate was taken up: node and link are busy for its time. Fills its ends.
  void placed(Candidate& k, TimePoint now);
  /// Its KV has left and was confirmed just now.
  void prefill_done(const Candidate& k, const Measured& m, TimePoint now);
  /// It will not be computed, or was lost: its time is given back.
  void abandoned(const Candidate& k, TimePoint now);
  /// It has ended well.
  void finished(const Candidate& k, const Measured& m, TimePoint now);

  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  [[nodiscard]] nlohmann::json save() const;
  void load(const nlohmann::json& j, TimePoint now);

  /// Who computes at the same time on which machine; and a decode node's place in that, by slot.
  [[nodiscard]] HostLoad& hosts() noexcept { return hosts_; }
  [[nodiscard]] HostLoad::Id decode_load(std::uint32_t slot) const noexcept { return decodes_[slot].load; }

 private:
  using Fit = BayesLinear<3>;
  struct PrefillNode {
    Incarnation incarnation;
    PromptTime compute;
    WorkAccount work;
    TimePoint last_end{};
    double placed = 0;         // see rates_
    PromptTime::Terms pool{};  // prompts whose computation ended together
    double pool_s = 0;
    std::vector<Estimate> encode;  // bytes per second by profile slot
    LinkAccount encoder;           // in seconds of its own
    HostLoad::Id load = 0;
  };
  struct DecodeNode {
    Incarnation incarnation;
    Fit step;  // seconds: {1, sequences, context tokens / 1000}
    double step_s = 0, step_batch = 0;
    TimePoint learned{};
    Estimate first;     // first step over a step
    double placed = 0;  // see rates_
    std::vector<Estimate> decode;
    LinkAccount decoder;
    HostLoad::Id load = 0;
    std::uint32_t arriving = 0, decoding = 0;  // sequences whose KV is on its way; the others
  };
  struct Link {
    Estimate bandwidth, fixed;
    LinkAccount account;
    double placed = 0;  // see rates_
    TimePoint last_end{};
  };

  [[nodiscard]] Link& link(std::size_t p, std::size_t d) { return links_[names_.prefill[p]][names_.decode[d]]; }
  [[nodiscard]] const Link& link(std::size_t p, std::size_t d) const {
    return links_[names_.prefill[p]][names_.decode[d]];
  }
  static const Estimate& bandwidth(Link& l, const LinkState& told, TimePoint now);
  static double link_wait_s(const Link& l, const LinkState& told, TimePoint now);
  /// Of a backlog that only the node told of nobody knows whose it is: it is all waited for.
  static double sharers(const Link& l) { return l.account.idle() ? 1e6 : static_cast<double>(l.account.size()); }
  [[nodiscard]] double fixed_s(const Link& l) const;
  void size_up();
  /// Who computes on which machine.
  void seat(const ClusterSnapshot& c);
  /// Work comes to a decode node, or leaves it.
  void decodes(DecodeNode& n, std::uint32_t seqs, TimePoint now);
  void prefill_left(PrefillNode& n, TimePoint now);
  void learn_compute(PrefillNode& n, const Candidate& k, const Measured& m, TimePoint end, TimePoint now);
  static std::uint64_t learn_link(Link& l, const Measured& m, TimePoint now);

  Directory& names_;
  std::vector<PrefillNode> prefills_;     // by slot
  std::vector<DecodeNode> decodes_;       // by slot
  std::vector<std::vector<Link>> links_;  // [prefill slot][decode slot]
  HostLoad hosts_;
  Estimate fixed_;  // of every pair, for one that has no sample yet
  EventRates rates_;
  double mean_bytes_ = 0;
  std::uint64_t changes_ = 0;
};

}  // namespace sluice::coordinator
