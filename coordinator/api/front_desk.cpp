#include "coordinator/api/front_desk.h"

#include <utility>

#include "common/log.h"

namespace sluice::coordinator {

/// One leg's events, on their way to its front thread.
class FrontDesk::Sink final : public LegSink {
 public:
  Sink(std::shared_ptr<FrontDesk> desk, FrontLeg leg) : desk_(std::move(desk)), leg_(leg) {}
  /// Let go without an end: the front's table must not keep the leg.
  ~Sink() override { desk_->end({leg_, LegFailed{{Errc::internal, "The server lost the request.", {}}, {}}}); }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  void on_begin(const std::string& fingerprint) override { desk_->tell({leg_, LegBegun{fingerprint}}); }
  void on_tokens(std::span<const TokenEvent> tokens) override {
    if (tokens.size() == 1)
      desk_->tell({leg_, tokens.front()});
    else
      desk_->tell({leg_, std::vector<TokenEvent>(tokens.begin(), tokens.end())});
  }
  void on_prompt_logprobs(std::size_t first, std::span<const RatedToken> tokens) override {
    desk_->tell({leg_, LegRated{first, {tokens.begin(), tokens.end()}}});
  }
  void on_finish(LegEnd end, const LegStats& stats) override {
    desk_->end({leg_, LegEnded{end, std::make_unique<LegStats>(stats)}});
  }
  void on_error(const Error& error, std::optional<Duration> retry_after) override {
    desk_->end({leg_, LegFailed{error, retry_after}});
  }

 private:
  std::shared_ptr<FrontDesk> desk_;
  FrontLeg leg_;
};

void FrontDesk::take(LegCommand&& command) {
  if (auto* s = std::get_if<LegStart>(&command.what)) return start(command.leg, std::move(s->spec));
  cancel(command.leg, std::get<LegCancel>(command.what).why);
}

void FrontDesk::start(FrontLeg leg, LegSpec spec) {
  legs_.emplace(leg, backend_.start(std::move(spec), std::make_shared<Sink>(shared_from_this(), leg)));
}

void FrontDesk::cancel(FrontLeg leg, CancelReason why) {
  const auto found = legs_.find(leg);
  if (found != legs_.end()) backend_.cancel(found->second, why);
}

void FrontDesk::tell(LegEvent event) {
  const auto found = legs_.find(event.leg);
  if (found == legs_.end()) return;  // it was given up
  const std::size_t bytes = bytes_of(event);
  if (to_front_->waiting() + bytes <= most_waiting_) return to_front_->put(std::move(event), bytes);
  log::warn("a front thread is behind; a leg is given up", {{"leg", found->second}, {"bytes", to_front_->waiting()}});
  const RequestId given_up = found->second;
  end({event.leg, LegFailed{{Errc::unavailable, "The server could not pass the answer on in time.", {}}, {}}});
  backend_.cancel(given_up, CancelReason::client_gone);
}

void FrontDesk::end(LegEvent event) {
  if (legs_.erase(event.leg) > 0) to_front_->put(std::move(event), sizeof event);
}

}  // namespace sluice::coordinator
