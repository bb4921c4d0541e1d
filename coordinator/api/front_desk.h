#pragma once
// A front thread's counterpart on the deciding thread: starts and cancels its legs at the real backend, and sends back
// what comes of them.
//
// Bound: a leg whose next event finds more than `most_waiting` bytes not yet taken by the front thread is cancelled and
// ends in an error, as a reader that is too slow is cut off. Ends always go over: one a leg. Threading: the deciding
// thread, but for largest_context(). Lifetime: the desk lives as long as a leg's sink does; the backend outlives its
// legs.
#include <atomic>
#include <memory>
#include <unordered_map>

#include "coordinator/api/crossing.h"
#include "coordinator/api/leg_values.h"

namespace sluice::coordinator {

class FrontDesk : public std::enable_shared_from_this<FrontDesk> {
 public:
  static constexpr std::size_t kMostWaiting = std::size_t{64} << 20U;  // bytes

  FrontDesk(Backend& backend, std::shared_ptr<Crossing<LegEvent>> to_front, std::size_t most_waiting = kMostWaiting)
      : backend_(backend), to_front_(std::move(to_front)), most_waiting_(most_waiting) {
    refresh();
  }

  void take(LegCommand&& command);
  /// Looks anew at what front threads may read at any time.
  void refresh() { largest_context_.store(backend_.largest_context(), std::memory_order_relaxed); }
  /// As of the last refresh(). On any thread.
  [[nodiscard]] std::size_t largest_context() const { return largest_context_.load(std::memory_order_relaxed); }

 private:
  class Sink;
  void start(FrontLeg leg, LegSpec spec);
  void cancel(FrontLeg leg, CancelReason why);
  void tell(LegEvent event);
  void end(LegEvent event);

  Backend& backend_;
  std::shared_ptr<Crossing<LegEvent>> to_front_;
  std::size_t most_waiting_;
  std::atomic<std::size_t> largest_context_{0};
  std::unordered_map<FrontLeg, RequestId> legs_;  // those that have not ended
};

}  // namespace sluice::coordinator
