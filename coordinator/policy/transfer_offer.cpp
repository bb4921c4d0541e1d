#include "coordinator/policy/transfer_offer.h"

#include <algorithm>

#include "coordinator/policy/fallbacks.h"

namespace sluice::coordinator {

std::vector<TransferWay> transfer_ways(const ClusterSnapshot& c, const RequestFeatures& r, const Candidate& chosen) {
  std::vector<TransferWay> out;
  const auto add = [&](std::size_t f) {
    const ProfileSpeed& sends = c.prefills[chosen.prefill].profiles[f];
    out.push_back({f, sends.ratio, sends.encode_bps, c.decodes[chosen.decode].profiles[f].decode_bps});
  };
  add(chosen.profile);
  for (const std::size_t f : fallbacks(c, r, chosen)) add(f);
  return out;
}

double planned_link_bps(const ClusterSnapshot& c, const Candidate& chosen) {
  const double link_bps = std::min(chosen.link_bps, c.link(chosen.prefill, chosen.decode).bandwidth_bps);
  const double decode_bps = c.decodes[chosen.decode].profiles[chosen.profile].decode_bps;
  if (decode_bps <= 0 || chosen.wire_bytes <= 0 || chosen.raw_bytes <= 0) return link_bps;
  return std::min(link_bps, decode_bps * chosen.wire_bytes / chosen.raw_bytes);
}

}  // namespace sluice::coordinator
