#pragma once
// One decision per request over (prefill node, decode node, profile, cut), or why there is none. Pure logic over a
// snapshot; the daemons and the simulator run this very class. Not thread-safe.
//
// Quality first (Objective::quality): candidates that meet the objectives are compared by their loss, not by their
// time. What one costs those who come after it counts as its own time: a lossless profile that would fill a link is no
// choice. Where nothing meets them, and by Objective::latency, the cheapest in time wins.
//
// The cut: positions before it come from the prefill node, the rest are computed where they are decoded. The table has
// all pairs and profiles with the usual cut, the prompt's last token. Beside it stand the decode nodes that could
// compute the whole prompt, which loses nothing; and of the best pair some cuts between the two.
//
// Outcomes: Decision (go), Wait (a decode node can hold it, but not now), Refusal (no pair can meet the deadline, the
// quality budget leaves no profile, or no node could ever hold it).
//
// A request's life here: decide -> placed -> prefill_done -> finished | abandoned | failed. In a steady cluster the way
// of decide() allocates nothing. In a large cluster each side is first cut to CandidateTable::kNodes nodes: the ones
// that could begin soonest, and some drawn at random. Among equal candidates nodes share evenly, and a node that got
// nothing for a while gets a request whatever is thought of it (NodeSight): no usable node is out of sight for ever.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <variant>
#include <vector>

#include "common/result.h"
#include "coordinator/policy/candidates.h"
#include "coordinator/policy/directory.h"
#include "coordinator/policy/latency_model.h"
#include "coordinator/policy/local_prompts.h"
#include "coordinator/policy/node_sight.h"
#include "coordinator/policy/profile_controller.h"
#include "coordinator/policy/room.h"
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

struct OfferedLoad;
struct RoleView;

struct Decision {
  Candidate chosen;
  ChoiceReason reason = ChoiceReason::best;
  std::size_t considered = 0;  // candidates that could start in time
  bool trial = false;          // under a profile that was left, to see whether it keeps its quality again
};

using Placed = std::variant<Decision, Wait, Refusal>;

class Placement {
 public:
  explicit Placement(const ControllerOptions& o) : latency_(names_), controller_(names_, o), here_(names_, latency_) {}
  Placement(const Placement&) = delete;  // the parts refer to each other
  Placement& operator=(const Placement&) = delete;

  /// deadline_s: the latest TTFT worth admitting, counted from when the request was received.
  [[nodiscard]] Placed decide(const ClusterSnapshot& c, const RequestFeatures& r, double deadline_s, TimePoint now);
  /// The best candidate at any price in time, without exploring or taking anything up; none without room or profile.
  [[nodiscard]] std::optional<Candidate> preview(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now);

  /// The nodes that take requests, as role_balance.h wants them; `able` is left to who knows it.
  [[nodiscard]] RoleView role_view(ClusterSnapshot c, const OfferedLoad& l, const Slo& slo, TimePoint now);

  /// A step of a decode node with so many sequences and tokens of context.
  [[nodiscard]] double step_s(const ClusterSnapshot& c, std::size_t d, double seqs, double context, TimePoint now) {
    bind(c);
    return latency_.step_s(c, d, seqs, context, now);
  }

  /// The decision was taken up.
  void placed(Candidate& k, TimePoint now);
  /// Of those with a prefill node, as abandoned().
  void prefill_done(const Candidate& k, const Measured& m, TimePoint now) { latency_.prefill_done(k, m, now); }
  /// Ended well: teaches model and controller.
  void finished(const Candidate& k, const Measured& m, TimePoint now);
  /// Its prefill will not be reported any more.
  void abandoned(const Candidate& k, TimePoint now) { latency_.abandoned(k, now); }
  /// Its chunks on the decode node are computed; or will not be any more. Of those that have some (here_tokens).
  void here_done(Candidate& k, TimePoint now) { here_.computed(k, now); }
  void here_abandoned(const Candidate& k) { here_.abandoned(k); }
  /// A node or link failed it; the pair rests, or the node that did it alone.
  void failed(const Candidate& k, TimePoint now);

  /// Changes of nodes and links seen so far.
  [[nodiscard]] std::uint64_t changes() const noexcept {
    return latency_.changes() + controller_.changes() + here_.changes();
  }
  /// What was learned, for a file; and back. A state of another version, or a damaged one, is refused whole.
  [[nodiscard]] nlohmann::json save() const;
  [[nodiscard]] Result<> load(const nlohmann::json& j, TimePoint now);
  /// As load(), of a part of a state of our version: what it does not name stays as it is.
  void adopt(const nlohmann::json& j, TimePoint now);

 private:
  struct Ranked {
    float cost;
    std::size_t index;
  };
  /// A decode node that could compute the whole prompt in time. Seconds, and the cost as the table's.
  struct Here {
    std::size_t row = 0;  // in table_.decodes
    float ttft = 0, price = 0, cost = 0;
    float use = 0;  // requests per second, of late
  };
  struct Best {
    std::size_t index = 0;  // of pair and profile, when `splits`
    float cost = 0;
    std::size_t considered = 0, splits = 0;  // candidates in time; those of them with a prefill node
    std::optional<std::size_t> here;         // of here_list_: the best decode node alone
    bool fallback = false;
    float most_kl = CandidateTable::kNever;  // that exploring in its stead may bring
  };
  void bind(const ClusterSnapshot& c);
  /// Why nothing can be done for the request now or ever; else sets what may be: split_, alone_, and the profiles.
  [[nodiscard]] std::optional<Placed> open_ways(const ClusterSnapshot& c, const RequestFeatures& r);
  /// Lists and predicts all candidates; the best of those within the limit.
  [[nodiscard]] Best search(const ClusterSnapshot& c, const RequestFeatures& r, double limit_s, TimePoint now);
  [[nodiscard]] Result<> allow_profiles(const ClusterSnapshot& c, const RequestFeatures& r);
  void shorten(std::vector<Ranked>& all, std::vector<std::size_t>& out);
  void list_nodes(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now);
  void fill(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now);
  /// The table's limits: that of all pairs, and none for those that rest.
  void limit(float limit_s, bool rest, TimePoint now);
  [[nodiscard]] Best best(const ClusterSnapshot& c, const RequestFeatures& r, double limit_s, TimePoint now);
  /// Lists the decode nodes that could compute the prompt in time; those that rest as well, or not.
  void list_here(const ClusterSnapshot& c, const RequestFeatures& r, float limit_s, bool rest, TimePoint now);
  [[nodiscard]] std::optional<std::size_t> best_here() const;
  /// What chunks on a decode node cost those who decode there and those who come after, in seconds.
  [[nodiscard]] float here_price(const DecodeView& d, const RequestFeatures& r, std::size_t row, double tokens,
                                 double compute_s) const;
  /// The table's cost, and what the prompt costs those who come after it to its prefill node: all candidates of a table
  /// have that in common, but not those beside it.
  [[nodiscard]] float split_cost(std::size_t index) const;
  [[nodiscard]] Candidate alone(const ClusterSnapshot& c, const RequestFeatures& r, const Here& h, TimePoint now);
  /// Its stages on the decode node; of a candidate whose cut is set.
  void add_here(const ClusterSnapshot& c, Candidate& k, TimePoint now);
  /// The same pair and profile, cut elsewhere, if that is cheaper by more than `cost` tells apart. limit_s: its TTFT.
  [[nodiscard]] Candidate cut_between(const ClusterSnapshot& c, const RequestFeatures& r, const Candidate& k,
                                      std::size_t index, float cost, double limit_s, TimePoint now);
  /// Quality first: the TTFT within which a request is to stay that meets its objective as surely as it wants.
  [[nodiscard]] static double bound_s(const RequestFeatures& r, double spread);
  [[nodiscard]] std::size_t less_used(std::size_t best, float most_cost) const;
  /// The best candidate moved to a node that is overdue; nothing when none is, or its pair rests.
  [[nodiscard]] std::optional<std::size_t> sighting(std::size_t best, TimePoint now);
  struct Draw {
    std::size_t index = 0;            // of pair and profile; none: the table's size
    std::optional<std::size_t> here;  // in its stead
  };
  [[nodiscard]] Draw draw(const RequestFeatures& r, float limit_s, float most_kl, TimePoint now);
  /// A choice in the best one's stead, to learn from; nothing to try now, or nothing that is safe.
  [[nodiscard]] std::optional<Candidate> tried(const ClusterSnapshot& c, const RequestFeatures& r,
                                               const Candidate& best, const Best& found, TimePoint now);
  /// What search() found; where quality comes first, what takes its place.
  [[nodiscard]] Candidate settle(const ClusterSnapshot& c, const RequestFeatures& r, Best& found, TimePoint now);
  /// Quality first: of the candidates with which the request meets its objectives, as surely as it wants, the least
  /// lossy, and of those the cheapest. `fastest` is the cheapest of all. Nothing: none is known to meet them.
  [[nodiscard]] std::optional<std::size_t> least_lossy(const RequestFeatures& r, const Candidate& fastest) const;
  [[nodiscard]] Candidate candidate(const ClusterSnapshot& c, const RequestFeatures& r, std::size_t index,
                                    TimePoint now);

  Directory names_;
  LatencyModel latency_;
  ProfileController controller_;
  LocalPrompts here_;
  NodeSight prefill_sight_, decode_sight_;
  // Buffers of decide().
  static constexpr std::uint64_t kSameList = 8;  // two lists a decision
  std::uint64_t list_turn_ = 0, list_from_ = 0;
  std::vector<Ranked> ranked_;
  CandidateTable table_, drawn_;
  CandidateCosts costs_;
  std::vector<float> price_, drawn_ttft_;
  bool split_ = false, alone_ = false;  // what may be: with a prefill node; a decode node alone
  std::vector<Here> here_list_;
  float soonest_here_ = 0;  // of all, in time or not
};

}  // namespace sluice::coordinator
