#include "coordinator/serving/health.h"

namespace sluice::coordinator {

Health health_of(const ClusterView& view, const Load& load) {
  Health h;
  int prefills = 0;
  int decodes = 0;
  for (const auto& [id, n] : view.nodes())
    if (!n.draining) ++(n.info.role == control::Role::decode ? decodes : prefills);
  h.detail = {
      {"prefill_nodes", prefills}, {"decode_nodes", decodes}, {"waiting", load.waiting}, {"active", load.active}};
  h.ready = !load.draining && prefills > 0 && decodes > 0;
  if (load.draining)
    h.reason = "draining";
  else if (prefills == 0)
    h.reason = "no prefill node is ready";
  else if (decodes == 0)
    h.reason = "no decode node is ready";
  return h;
}

}  // namespace sluice::coordinator
