#pragma once
// The requests of a prefill node between the coordinator's call and the node's report.
// Threading: any thread; one mutex. What runs in with() runs under it: a cancel that takes the request away comes
// wholly before or after.
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "kvtransfer/flow/link_stats.h"
#include "prefill_node/prefill_loop.h"
#include "prefill_node/ticket_check.h"

namespace sluice::prefill {

struct OpenRequest {
  CheckedPrompt prompt;  // its tokens went to the loop
  TimePoint received{};
  bool admitted = false;  // the loop computes this one, not an earlier one of the same id
  kv::LinkStats link;     // to its decode node, as it was admitted
  PromptTimes times;
};

class RequestTable {
 public:
  /// False when one of this id is open.
  [[nodiscard]] bool add(RequestId id, OpenRequest r);
  /// False when there is none.
  bool erase(RequestId id);
  /// Runs f on the request, under the mutex: f must not come back here. False when there is none.
  bool with(RequestId id, const std::function<void(OpenRequest&)>& f);
  /// Takes the request out if this is still its ticket: one that came again under another stays.
  [[nodiscard]] std::optional<OpenRequest> take(RequestId id, const kv::TicketId& ticket);
  /// Takes all of one coordinator out and names them.
  [[nodiscard]] std::vector<RequestId> clear(control::LegSpace of);
  [[nodiscard]] std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::map<RequestId, OpenRequest> open_;
};

}  // namespace sluice::prefill
