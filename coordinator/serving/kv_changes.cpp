#include "coordinator/serving/kv_changes.h"

#include <algorithm>

#include "coordinator/policy/transfer_offer.h"

namespace sluice::coordinator {

/// Of two profiles that made an answer's KV, the worse one tells its quality.
void KvChanges::raise_kl(Session& s) const {
  if (!s.answer.change) return;
  const auto to = std::ranges::find(view_.profiles(), s.answer.change->to, &ProfileEntry::name);
  if (to != view_.profiles().end()) s.run.kl = std::max(s.run.kl, to->kl);
}

void KvChanges::offer(Session& s, const ClusterSnapshot& c) const {
  s.run.ways.clear();
  s.seen.mixed = false;
  if (!s.answer.emitted.empty()) return raise_kl(s);
  s.answer.change.reset();
  if (!offered_) return;
  const auto ways = transfer_ways(c, s.asked.features, s.run.chosen);
  if (ways.size() < 2) return;
  for (const TransferWay& w : ways)
    s.run.ways.push_back({c.profiles[w.profile].name, w.ratio, w.encode_bps, w.decode_bps});
  s.run.link_bps = planned_link_bps(c, s.run.chosen);
}

Result<> KvChanges::arrived(Session& s, std::optional<control::ProfileChange> change) {
  if (!s.answer.emitted.empty()) {
    // Lossless KV may be cut elsewhere this time, and then changes elsewhere.
    if (change != s.answer.change && s.run.kl > 0)
      return fail(Errc::data_corrupt, "the KV is not what the answer was begun on");
    return {};
  }
  if (!change) return {};
  if (std::ranges::find(s.run.ways, change->to, &control::KvWay::profile) == s.run.ways.end())
    return fail(Errc::data_corrupt, "the KV has a profile that was not offered");
  s.answer.change = std::move(change);
  s.seen.mixed = true;
  raise_kl(s);
  figures_.on_profile_change(s);
  return {};
}

}  // namespace sluice::coordinator
