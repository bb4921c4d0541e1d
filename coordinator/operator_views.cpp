#include "coordinator/operator_views.h"

namespace sluice::coordinator {

ServiceStatus OperatorViews::status() const {
  Health h = serving_.health();
  return {.ready = h.ready,
          .reason = std::move(h.reason),
          .model = serving_.model().id,
          .control_address = serving_.control_address(),
          .waiting = serving_.waiting(),
          .active = serving_.active(),
          .nodes = std::move(h.detail)};
}

nlohmann::json OperatorViews::coordinators() const {
  nlohmann::json all = nlohmann::json::array();
  const auto add = [&](const Member& m) {
    all.push_back({{"id", m.id},
                   {"http", m.http},
                   {"control", m.control},
                   {"version", m.version},
                   {"since", m.since},
                   {"leader", m.leader},
                   {"me", m.me}});
  };
  if (shared_ == nullptr) {
    Member alone = me_;
    alone.leader = alone.me = true;
    add(alone);
    return {{"registry", "memory"}, {"in_touch", true}, {"coordinators", std::move(all)}};
  }
  for (const Member& m : shared_->members()) add(m);
  return {{"registry", "etcd"}, {"in_touch", shared_->in_touch()}, {"coordinators", std::move(all)}};
}

}  // namespace sluice::coordinator
