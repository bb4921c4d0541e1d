#pragma once
// The prefill node's end of a quality probe: once a request's KV has arrived and its last token was run over the exact
// KV, the head of that distribution goes to the decode node, which compares.
//
// Life of a reference: keep (the KV has arrived) -> on_probed (sent, or counted as failed) | forget. Nothing waits for
// it. Threading: any thread; one mutex, not held while sending.
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>

#include "common/control/leg_space.h"
#include "common/metrics.h"
#include "common/result.h"
#include "kvtransfer/wire/ticket.h"

namespace sluice::prefill {

class ReferenceOut {
 public:
  using Send = std::function<Result<>(const std::string& address, std::span<const std::byte> note)>;
  ReferenceOut(Metrics& metrics, Send send);

  /// Where the request's reference will go, and under which ticket.
  void keep(RequestId id, kv::Ticket ticket, std::string address);
  void forget(RequestId id);
  /// Forgets those of one coordinator.
  void clear(control::LegSpace of);
  /// What the model says after the probe token: [vocab]. Of a request that is not kept it is ignored.
  void on_probed(RequestId id, const Result<std::span<const float>>& logits);
  [[nodiscard]] std::size_t kept() const;

 private:
  struct Target {
    kv::Ticket ticket;
    std::string address;
  };
  [[nodiscard]] Result<> send(const Target& to, const Result<std::span<const float>>& logits) const;

  Counters ended_;
  Send send_;
  mutable std::mutex mutex_;
  std::map<RequestId, Target> kept_;
};

}  // namespace sluice::prefill
