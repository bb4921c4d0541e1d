#pragma once
// The backend as a front thread sees it: legs are numbered and kept here, what is asked of them goes to the deciding
// thread as values, and what comes of them comes back so (front_desk.h).
//
// Threading: the front thread. A sink is called and let go here, and nowhere else; an event for a leg that has ended is
// dropped. Lifetime: made before and destroyed after the front thread runs; the real backend outlives its legs.
// Failure: a start beyond `most_waiting` commands that the deciding thread has not taken ends in on_error, as one that
// finds no room does. Cancels always go: one or two a leg.
#include <memory>
#include <unordered_map>

#include "coordinator/api/front_desk.h"

namespace sluice::coordinator {

class RemoteBackend final : public Backend {
 public:
  struct Bounds {
    std::size_t commands = 16'384;                      // on their way there
    std::size_t event_bytes = FrontDesk::kMostWaiting;  // on their way back
  };
  RemoteBackend(boost::asio::io_context& here, boost::asio::io_context& deciding, Backend& real, Bounds bounds);
  RemoteBackend(boost::asio::io_context& here, boost::asio::io_context& deciding, Backend& real)
      : RemoteBackend(here, deciding, real, Bounds{}) {}

  [[nodiscard]] const ModelInfo& model() const override { return model_; }
  [[nodiscard]] const ModelText& text() const override { return text_; }
  [[nodiscard]] std::size_t largest_context() override { return desk_->largest_context(); }
  RequestId start(LegSpec spec, std::shared_ptr<LegSink> sink) override;
  void cancel(RequestId id, CancelReason reason) override;

  /// For the deciding thread.
  [[nodiscard]] FrontDesk& desk() noexcept { return *desk_; }

 private:
  void take(LegEvent&& event);

  boost::asio::io_context& here_;
  const ModelInfo& model_;
  const ModelText& text_;
  const Bounds bounds_;
  std::shared_ptr<FrontDesk> desk_;
  std::shared_ptr<Crossing<LegCommand>> commands_;
  std::unordered_map<FrontLeg, std::shared_ptr<LegSink>> sinks_;  // of legs that have not ended
  std::uint64_t last_ = 0;
};

}  // namespace sluice::coordinator
