#include "common/transfer/tightening.h"

#include <algorithm>
#include <limits>

namespace sluice {

double finish_s(const TransferState& t, const Way& w) {
  const double encode = w.encode_bps > 0 ? t.raw_left / w.encode_bps : 0;
  const double ratio = w.ratio > 0 ? w.ratio : 1;
  const double wire = t.link_bps > 0 ? (t.ahead_bytes + t.raw_left / ratio) / t.link_bps : 0;
  return std::max({t.compute_left_s, encode, wire});
}

std::size_t tighten(const TransferState& t, std::span<const Way> ways) {
  if (ways.size() < 2 || !(t.planned_bps > 0) || !(t.link_bps > 0) || !(t.raw_left > 0)) return 0;
  if (t.link_bps >= kCollapsedShare * t.planned_bps) return 0;
  const double chosen = finish_s(t, ways[0]);
  const double limit = std::min((1 - kWorthwhileShare) * chosen, chosen - kWorthwhileS);
  std::size_t best = 0;
  double soonest = std::numeric_limits<double>::infinity();
  for (std::size_t i = 1; i < ways.size(); ++i) {
    if (!(ways[i].encode_bps > 0) || !(ways[i].ratio > 0)) continue;
    const double s = finish_s(t, ways[i]);
    if (s > limit || s >= soonest) continue;
    best = i;
    soonest = s;
  }
  return best;
}

double speed_bound(double bytes, double waited_s, double rtt_s) {
  const double late = waited_s - rtt_s;
  if (!(bytes > 0) || !(late > kPatienceS)) return std::numeric_limits<double>::infinity();
  return bytes / late;
}

}  // namespace sluice
