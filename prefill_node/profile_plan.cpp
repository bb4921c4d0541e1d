#include "prefill_node/profile_plan.h"

#include <algorithm>

namespace sluice::prefill {

Result<node::ProfilePlan> plan_of(const control::PrefillRequest& call, const kv::Ticket& ticket,
                                  const kv::Profile& chosen, const kv::CodecRegistry& codecs) {
  auto listed = [&](const std::string& name) -> const kv::Profile* {
    const kv::Profile* p = codecs.profile(name);
    return p != nullptr && p->codec != chosen.codec && ticket.allows(p->codec->id()) ? p : nullptr;
  };
  node::ProfilePlan plan;
  if (call.change) {
    const kv::Profile* to = listed(call.change->to);
    if (to == nullptr)
      return fail(Errc::invalid_argument, "the ticket does not allow a change to KV profile '{}'", call.change->to);
    plan.profiles = {&chosen, to};
    plan.order = call.change->from;
    return plan;
  }
  for (const control::KvWay& w : call.ways) {
    const kv::Profile* p = plan.profiles.empty() ? &chosen : listed(w.profile);
    if (p == nullptr) continue;
    plan.profiles.push_back(p);
    // Credit comes back once frames are decoded: a decoder slower than the encoder is what the link waits for.
    plan.ways.push_back({std::min(w.encode_bps, w.decode_bps), w.ratio});
  }
  plan.planned_bps = call.link_bps;
  return plan;
}

}  // namespace sluice::prefill
