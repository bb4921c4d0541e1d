#pragma once
// The coordinator of a simulated cluster: the daemons' intake in front of it, the policy that decides, and the account
// of what it assigned. Owns the intake; the others are borrowed. A request's id is its row in the load.
#include <functional>
#include <optional>

#include "coordinator/policy/intake.h"
#include "coordinator/policy/mover.h"
#include "coordinator/sim/decode_side.h"
#include "coordinator/sim/prompt_names.h"
#include "coordinator/sim/sim_scene.h"

namespace sluice::sim {

class SimDoor final : coordinator::IntakeHost {
 public:
  SimDoor(Scene& scene, Policy& policy, MemoryBook& book, DecodeSide& decodes);

  void arrive(std::uint32_t row);
  /// Room may have come.
  void pump() { intake_.pump(at(scene_.now)); }
  [[nodiscard]] std::size_t waiting() const noexcept { return intake_.waiting(); }
  [[nodiscard]] const coordinator::OutputLengths& lengths() const noexcept { return intake_.lengths(); }
  /// What the first in the queue waits for.
  [[nodiscard]] std::optional<coordinator::WaitingPrompt> first_in_line() const;
  /// Its KV has arrived, and its prefill node has reported.
  void prefill_done(std::uint32_t id);
  /// Its first token is out, of which its decode node computed more of the prompt than the last token.
  void computed(std::uint32_t id);
  /// Its decode node had no room for it after all.
  void again(std::uint32_t id);
  /// Its output is whole.
  void ended(std::uint32_t id);
  /// Who hears of each end: output tokens, 0 when it was refused, and whether it met its objectives.
  void tell_ends(std::function<void(double, bool)> hears) { ends_ = std::move(hears); }
  /// Prompts longer than this are not computed on any node.
  void longest_prompt(std::uint32_t tokens) { longest_prompt_ = tokens; }

 private:
  coordinator::RequestFeatures features(RequestId id, TimePoint now) override;
  const coordinator::ClusterSnapshot& cluster() override;
  const coordinator::ClusterSnapshot& cluster_for(RequestId id) override;
  coordinator::OccupantsOf occupants(TimePoint) override { return decodes_.occupants(); }
  coordinator::Placed decide(RequestId id, const coordinator::ClusterSnapshot& c, coordinator::RequestFeatures& r,
                             double deadline_s, TimePoint now) override;
  void go(RequestId request, const coordinator::ClusterSnapshot& c, const coordinator::Decision& d) override;
  void refuse(RequestId request, coordinator::Refused why, const coordinator::Refusal& r) override;
  /// What prefill nodes have of a prompt, as they told last.
  void look(const SimRequest& q);
  [[nodiscard]] bool oracle_has_room(std::size_t d, const SimRequest& newcomer);

  Scene& scene_;
  Policy& policy_;
  MemoryBook& book_;
  DecodeSide& decodes_;
  coordinator::Intake intake_;
  std::function<void(double, bool)> ends_;
  std::optional<CacheOracle> oracle_;  // where the load names prefixes
  coordinator::PrefixHits hits_;
  std::vector<NodeId> prefills_;
  std::vector<std::uint32_t> blocks_;
  double start_s_ = 0;  // from a decision to the first token, lately
  std::uint32_t longest_prompt_ = UINT32_MAX - 1;
};

}  // namespace sluice::sim
