#include "coordinator/serving/health.h"

#include <fmt/format.h>

namespace sluice::coordinator {

Health health_of(const ClusterView& view, const Load& load) {
  Health h;
  int prefills = 0;
  int decodes = 0;
  int stalled = 0;
  bool alone = false;
  for (const auto& [id, n] : view.nodes()) {
    if (n.usable()) ++(n.info.role == control::Role::decode ? decodes : prefills);
    if (n.last.stalled) ++stalled;
    // Decode nodes that compute prompts serve without any prefill node.
    alone |=
        load.local_prefill && n.usable() && n.info.role == control::Role::decode && n.last.prefill_tokens_per_s > 0;
  }
  h.detail = {
      {"prefill_nodes", prefills}, {"decode_nodes", decodes}, {"waiting", load.waiting}, {"active", load.active}};
  h.ready = !load.draining && (prefills > 0 || alone) && decodes > 0;
  if (load.draining)
    h.reason = "draining";
  else if (prefills == 0 && !alone)
    h.reason = "no prefill node is ready";
  else if (decodes == 0)
    h.reason = "no decode node is ready";
  if (!h.ready && !load.draining && stalled > 0)
    h.reason += fmt::format("; {} registered, but the engine stands still", stalled);
  return h;
}

Health with_readers(Health h, Duration still, Duration wedge) {
  if (!h.ready || still < wedge) return h;
  h.ready = false;
  h.reason = fmt::format("requests are being read, and none was done for {:.0f} s", seconds(still));
  return h;
}

}  // namespace sluice::coordinator
