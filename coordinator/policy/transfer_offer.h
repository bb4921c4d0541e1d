#pragma once
// What the sender of a request's KV is told when the request is placed: the ways its KV may go, and the link speed that
// the choice among them rests on. Daemon and simulator make the offer here; the sender changes its way by
// common/transfer/tightening. Pure.
#include <cstddef>
#include <vector>

#include "coordinator/policy/types.h"

namespace sluice::coordinator {

/// A profile that the KV may go under, as the pair of nodes is known. 0 = not known.
struct TransferWay {
  std::size_t profile = 0;                // of the snapshot's
  double ratio = 0;                       // raw bytes / wire bytes
  double encode_bps = 0, decode_bps = 0;  // raw bytes per second
};

/// The chosen profile's way first, then those of its fallbacks(), in their order.
[[nodiscard]] std::vector<TransferWay> transfer_ways(const ClusterSnapshot& c, const RequestFeatures& r,
                                                     const Candidate& chosen);

/// The speed that the sender's own meter would show, wire bytes per second. For that meter bytes are under way until
/// they are decoded; the model's estimate has that time taken off.
[[nodiscard]] double planned_link_bps(const ClusterSnapshot& c, const Candidate& chosen);

}  // namespace sluice::coordinator
