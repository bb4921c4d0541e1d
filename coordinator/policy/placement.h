#pragma once
// One decision per request over (prefill node, decode node, profile), or why there is none. Pure logic over a snapshot;
// the daemons and the simulator run this very class. Not thread-safe.
//
// Quality first (Objective::quality): candidates that meet the objectives are compared by their loss, not by their
// time. What one costs those who come after it counts as its own time: a lossless profile that would fill a link is no
// choice. Where nothing meets them, and by Objective::latency, the cheapest in time wins.
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
#include "coordinator/policy/node_sight.h"
#include "coordinator/policy/profile_controller.h"
#include "coordinator/policy/room.h"
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

struct Decision {
  Candidate chosen;
  ChoiceReason reason = ChoiceReason::best;
  std::size_t considered = 0;  // candidates that could start in time
  bool trial = false;          // under a profile that was left, to see whether it keeps its quality again
};

using Placed = std::variant<Decision, Wait, Refusal>;

class Placement {
 public:
  explicit Placement(const ControllerOptions& o) : latency_(names_), controller_(names_, o) {}
  Placement(const Placement&) = delete;  // the parts refer to each other
  Placement& operator=(const Placement&) = delete;

  /// deadline_s: the latest TTFT worth admitting, counted from when the request was received.
  [[nodiscard]] Placed decide(const ClusterSnapshot& c, const RequestFeatures& r, double deadline_s, TimePoint now);
  /// The best candidate at any price in time, without exploring or taking anything up; none without room or profile.
  [[nodiscard]] std::optional<Candidate> preview(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now);
  /// A decode node alone (colocated, or a one-token prompt): the least loaded one with room.
  [[nodiscard]] std::variant<std::size_t, Wait, Refusal> decide_colocated(const ClusterSnapshot& c,
                                                                          const RequestFeatures& r);

  /// The decision was taken up.
  void placed(Candidate& k, TimePoint now);
  void prefill_done(const Candidate& k, const Measured& m, TimePoint now) { latency_.prefill_done(k, m, now); }
  /// Ended well: teaches model and controller.
  void finished(const Candidate& k, const Measured& m, TimePoint now);
  /// Its prefill will not be reported any more.
  void abandoned(const Candidate& k) { latency_.abandoned(k); }
  /// A node or link failed it; the pair rests.
  void failed(const Candidate& k, TimePoint now) { controller_.observe_failure(k, now); }

  /// Changes of nodes and links seen so far.
  [[nodiscard]] std::uint64_t changes() const noexcept { return latency_.changes() + controller_.changes(); }
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
  struct Best {
    std::size_t index = 0;
    float cost = 0;
    std::size_t considered = 0;
    bool fallback = false;
    float most_kl = CandidateTable::kNever;  // that exploring in its stead may bring
  };
  void bind(const ClusterSnapshot& c);
  /// Lists and predicts all candidates; the best of those within the limit.
  [[nodiscard]] Best search(const ClusterSnapshot& c, const RequestFeatures& r, double limit_s, TimePoint now);
  [[nodiscard]] Result<> allow_profiles(const ClusterSnapshot& c, const RequestFeatures& r);
  void shorten(std::vector<Ranked>& all, std::vector<std::size_t>& out);
  void list_nodes(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now);
  void fill(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now);
  /// The table's limits: that of all pairs, and none for those that rest.
  void limit(float limit_s, bool rest, TimePoint now);
  [[nodiscard]] Best best(const RequestFeatures& r, double limit_s, TimePoint now);
  [[nodiscard]] std::size_t less_used(std::size_t best, float most_cost) const;
  /// The best candidate moved to a node that is overdue; nothing when none is, or its pair rests.
  [[nodiscard]] std::optional<std::size_t> sighting(std::size_t best, TimePoint now);
  [[nodiscard]] std::size_t draw(const RequestFeatures& r, float limit_s, float most_kl, TimePoint now);
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
  NodeSight prefill_sight_, decode_sight_;
  std::uint64_t colocated_turn_ = 0;
  // Buffers of decide().
  static constexpr std::uint64_t kSameList = 8;  // two lists a decision
  std::uint64_t list_turn_ = 0, list_from_ = 0;
  std::vector<Ranked> ranked_;
  CandidateTable table_, drawn_;
  CandidateCosts costs_;
  std::vector<float> price_, drawn_ttft_;
};

}  // namespace sluice::coordinator
