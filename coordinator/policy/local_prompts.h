#pragma once
// What it takes to compute a prompt, or its last chunks, on the node that decodes it, and what that costs those who
// decode there: their steps are in the same passes as the chunks.
//
// Learned per decode node: time of a prompt there (PromptTime, which starts at what the node says of itself; samples
// are of a node as busy as it is, so that the running batch is in them), and how far off the predicted TTFT of local
// prompts is. What others on the same machine add to that time is apart from it, as of prefill nodes (host_load.h), and
// so is the account of when a node is through with what it was given.
//
// Pure logic, time given; not thread-safe. Nothing between bind() and placed() allocates.
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "coordinator/policy/directory.h"
#include "coordinator/policy/estimate.h"
#include "coordinator/policy/prompt_time.h"
#include "coordinator/policy/types.h"
#include "coordinator/policy/work_account.h"

namespace sluice::coordinator {

class LatencyModel;

class LocalPrompts {
 public:
  LocalPrompts(Directory& names, LatencyModel& latency) : names_(names), latency_(latency) {}

  /// Follows the bound snapshot; call after Directory::bind said that something changed.
  void grow(const ClusterSnapshot& c);

  // By index into the bound snapshot.
  /// Whether the node states that it computes prompts.
  [[nodiscard]] static bool computes(const DecodeView& d) noexcept { return d.prompt_tokens_per_s > 0; }
  /// Until a prompt that comes now has its turn.
  [[nodiscard]] double queue_s(const ClusterSnapshot& c, std::size_t d, TimePoint now);
  /// Positions [from, to) of a prompt, when it is their turn; no less than as many steps as they take passes.
  [[nodiscard]] double compute_s(const ClusterSnapshot& c, std::size_t d, double from, double to, TimePoint now,
                                 double step_s = 0);
  /// By how much each sequence that decodes there is held up: the passes take longer than steps would. step_s: of one.
  [[nodiscard]] static double delay_s(const DecodeView& d, double tokens, double compute_s, double step_s);
  /// Tokens of an output, on average; what a delay is spread over.
  [[nodiscard]] double mean_output() const noexcept { return mean_output_; }
  /// Actual over predicted TTFT of prompts that this node computed whole: multiplier, and the log's spread.
  [[nodiscard]] double correction(std::size_t d, TimePoint now);
  [[nodiscard]] double spread(std::size_t d) const;
  /// Prompts given to the node per second, lately.
  [[nodiscard]] double rate(std::size_t d, TimePoint now) { return rates_.rate(nodes_[names_.decode[d]].placed, now); }
  [[nodiscard]] bool resting(std::size_t d, TimePoint now) const { return nodes_[names_.decode[d]].rest_until > now; }

  /// The candidate was taken up: the node is busy for its chunks. Fills its ends.
  void placed(Candidate& k, TimePoint now);
  /// Its first token is out. Fills in what it met.
  void computed(Candidate& k, TimePoint now);
  /// It will not be computed, or was lost: its time is given back.
  void abandoned(const Candidate& k);
  /// It has ended well, and the node says what it took. Of every request, since all outputs tell of lengths.
  void finished(const Candidate& k, const Measured& m, TimePoint now);
  /// The node failed it.
  void failed(const Candidate& k, TimePoint until) { nodes_[k.decode_slot].rest_until = until; }

  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  [[nodiscard]] nlohmann::json save() const;
  void load(const nlohmann::json& j, TimePoint now);

 private:
  struct Node {
    Incarnation incarnation;
    PromptTime compute;
    WorkAccount work;
    Estimate ratio;     // TTFT, actual over predicted
    double placed = 0;  // see rates_
    TimePoint rest_until{};
  };
  void size_up() { nodes_.resize(names_.decodes.size()); }

  void learn_time(const Candidate& k, double took_s, TimePoint now);

  Directory& names_;
  LatencyModel& latency_;
  std::vector<Node> nodes_;  // by slot
  EventRates rates_;
  double mean_output_ = 128;
  std::uint64_t changes_ = 0;
};

}  // namespace sluice::coordinator
