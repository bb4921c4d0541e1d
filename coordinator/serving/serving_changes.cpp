// The part of Serving that lets a transfer change its KV profile when its link gives way, and remembers that it did.
#include <algorithm>

#include "common/log.h"
#include "coordinator/policy/transfer_offer.h"
#include "coordinator/serving/serving.h"

namespace sluice::coordinator {

using nlohmann::json;
namespace ctl = control;

/// What the sender of a request that was just placed may change to, and what it needs to decide that.
void Serving::offer_fallbacks(Session& s, const ClusterSnapshot& c) {
  s.ways.clear();
  s.mixed = false;
  if (!s.emitted.empty()) return raise_kl(s);  // the same KV again: a change is an order now
  s.change.reset();
  if (!options_.profile_changes) return;
  const auto ways = transfer_ways(c, s.features, s.chosen);
  if (ways.size() < 2) return;
  for (const TransferWay& w : ways) s.ways.push_back({c.profiles[w.profile].name, w.ratio, w.encode_bps, w.decode_bps});
  s.link_bps = planned_link_bps(c, s.chosen);
}

/// Of two profiles that made an answer's KV, the worse one tells its quality.
void Serving::raise_kl(Session& s) const {
  if (!s.change) return;
  const auto to = std::ranges::find(view_.profiles(), s.change->to, &ProfileEntry::name);
  if (to != view_.profiles().end()) s.kl = std::max(s.kl, to->kl);
}

void Serving::on_kv_ready(const NodeId& node, const json& body) {
  auto m = ctl::parse<ctl::KvReady>(body);
  if (!m) return log::warn("bad message", {{"node", node}, {"why", m.error().message}});
  const SessionPtr s = find(m->request);
  if (!s || s->decode != node || (s->state != SessionState::prefilling && s->state != SessionState::decoding)) return;
  s->decode_s = m->decode_s;
  if (!s->emitted.empty()) {
    // Lossless KV may be cut elsewhere this time, and then changes elsewhere.
    if (m->change != s->change && s->kl > 0)
      again(s, Error{Errc::data_corrupt, "the KV is not what the answer was begun on", {}});
    return;
  }
  if (!m->change) return;
  if (std::ranges::find(s->ways, m->change->to, &ctl::KvWay::profile) == s->ways.end())
    return again(s, Error{Errc::data_corrupt, "the KV has a profile that was not offered", {}});
  s->change = std::move(m->change);
  s->mixed = true;
  raise_kl(*s);
  figures_.on_profile_change(*s);
}

}  // namespace sluice::coordinator
