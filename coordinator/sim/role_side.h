#pragma once
// Nodes that change their role in a simulated cluster. Each machine is there twice, as a prefill and as a decode node,
// of which one takes requests: the daemons' role balance says when that changes. A machine that changes takes nothing
// new, ends what it has (streams do not move to other nodes here), is gone for as long as it loads, and comes back with
// a new incarnation. The scene is borrowed.
#include <optional>
#include <vector>

#include "coordinator/policy/placement.h"
#include "coordinator/policy/role_balance.h"
#include "coordinator/sim/sim_scene.h"

namespace sluice::sim {

class RoleSide {
 public:
  /// Of spec.roles, which is there; the first `prefills` machines begin as prefill nodes.
  RoleSide(Scene& scene, coordinator::Placement& placement, std::size_t prefills)
      : scene_(scene), placement_(placement), prefills_(prefills), balance_(scene.spec.roles->balance) {}

  /// Once the scene's view has its nodes.
  void begin();
  void arrived(std::uint32_t row);
  /// Output tokens; 0: refused.
  void ended(double output_tokens, bool met) { balance_.ended(output_tokens, met, at(scene_.now)); }
  void look();
  void loaded();

 private:
  struct Change {
    std::size_t machine = 0;
    coordinator::PoolRole to = coordinator::PoolRole::prefill;
    bool loads = false;  // it has ended what it had
  };
  [[nodiscard]] bool idle(const Change& c) const;

  Scene& scene_;
  coordinator::Placement& placement_;
  std::size_t prefills_;
  coordinator::RoleBalance balance_;
  std::optional<Change> change_;
};

}  // namespace sluice::sim
