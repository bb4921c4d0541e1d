#include "coordinator/sim/role_side.h"

#include <algorithm>

namespace sluice::sim {

using namespace coordinator;

namespace {

constexpr double kLookS = 1;

}  // namespace

void RoleSide::begin() {
  for (std::size_t i = 0; i < scene_.view.prefills.size(); ++i) {
    scene_.view.prefills[i].usable = i < prefills_;
    scene_.view.decodes[i].usable = i >= prefills_;
  }
  if (scene_.spec.roles->automatic) scene_.push(kLookS, What::look_at_roles, 0);
}

void RoleSide::arrived(std::uint32_t row) { balance_.arrived(scene_.load[row].prompt_tokens, at(scene_.now)); }

/// The coordinator's account says so: nothing of it is on its way any more either.
bool RoleSide::idle(const Change& c) const {
  return c.to == PoolRole::decode ? scene_.view.prefills[c.machine].queued_tokens == 0
                                  : scene_.view.decodes[c.machine].seqs == 0;
}

void RoleSide::look() {
  scene_.push(scene_.now + kLookS, What::look_at_roles, 0);
  const TimePoint now = at(scene_.now);
  if (change_ && !change_->loads && idle(*change_)) {
    change_->loads = true;
    scene_.push(scene_.now + scene_.spec.roles->load_s, What::role_loaded, change_->machine);
  }
  RoleView v = placement_.role_view(scene_.view, balance_.load(now), scene_.spec.slo, now);
  for (auto& p : v.prefills) p.able = true;
  for (auto& d : v.decodes) d.able = true;
  const auto change = balance_.look(v, now);
  if (!change) return;
  const bool decodes = change->to == PoolRole::decode;
  std::size_t i = 0;
  while (decodes ? scene_.view.prefills[i].id != change->node : scene_.view.decodes[i].id != change->node) ++i;
  (decodes ? scene_.view.prefills[i].usable : scene_.view.decodes[i].usable) = false;
  change_ = Change{.machine = i, .to = change->to};
  balance_.began(change->to, now);
  scene_.result.roles.push_back({.at_s = scene_.now, .machine = i, .to_decode = decodes});
}

void RoleSide::loaded() {
  const std::size_t i = change_->machine;
  PrefillView& p = scene_.view.prefills[i];
  DecodeView& d = scene_.view.decodes[i];
  (change_->to == PoolRole::decode ? d.usable : p.usable) = true;
  (change_->to == PoolRole::decode ? d.incarnation : p.incarnation) = Incarnation(2 + scene_.result.roles.size());
  ++scene_.view.topology;  // a node came: the policies look at it anew
  change_.reset();
  scene_.result.roles.back().done_s = scene_.now;
  balance_.done(true, at(scene_.now));
}

}  // namespace sluice::sim
