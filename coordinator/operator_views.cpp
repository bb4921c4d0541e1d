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

}  // namespace sluice::coordinator
