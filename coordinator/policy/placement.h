#pragma once
// One decision per request over (prefill node, decode node, profile), or why there is none. Pure logic over a snapshot.
//
// Outcomes: Decision (go), Wait (a decode node can hold it, but not now), Refusal (no pair can meet the deadline, the
// quality budget leaves no profile, or no node could ever hold it).
#include <variant>
#include <vector>

#include "common/result.h"
#include "coordinator/policy/profile_controller.h"
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

struct Decision {
  Candidate chosen;
  ChoiceReason reason = ChoiceReason::best;
  std::size_t considered = 0;  // feasible candidates
};

struct Wait {};

struct Refusal {
  Error error;
  double retry_after_s = 0;  // 0 = retrying does not help
};

using Placed = std::variant<Decision, Wait, Refusal>;

class Placement {
 public:
  explicit Placement(ProfileController& controller) : controller_(controller) {}
  /// deadline_s: the latest TTFT worth admitting, counted from when the request was received.
  [[nodiscard]] Placed decide(const ClusterSnapshot& c, const RequestFeatures& r, double deadline_s, TimePoint now);
  /// A decode node alone (colocated, or a one-token prompt): the least loaded one with room.
  [[nodiscard]] static std::variant<std::size_t, Wait, Refusal> decide_colocated(const ClusterSnapshot& c,
                                                                                 const RequestFeatures& r);

 private:
  [[nodiscard]] Result<std::vector<std::size_t>> allowed_profiles(const ClusterSnapshot& c,
                                                                  const RequestFeatures& r) const;
  ProfileController& controller_;
  std::vector<Candidate> candidates_;  // scratch
};

/// KV blocks a request needs on a decode node, its whole output included.
[[nodiscard]] std::uint32_t blocks_needed(const RequestFeatures& r, std::uint32_t block_size);

}  // namespace sluice::coordinator
