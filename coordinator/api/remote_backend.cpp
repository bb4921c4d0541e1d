#include "coordinator/api/remote_backend.h"

#include <chrono>
#include <utility>

namespace sluice::coordinator {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

}  // namespace

RemoteBackend::RemoteBackend(boost::asio::io_context& here, boost::asio::io_context& deciding, Backend& real,
                             Bounds bounds)
    : here_(here), model_(real.model()), text_(real.text()), bounds_(bounds) {
  auto events = std::make_shared<Crossing<LegEvent>>(deciding, here, [this](LegEvent&& e) { take(std::move(e)); });
  desk_ = std::make_shared<FrontDesk>(real, std::move(events), bounds.event_bytes);
  commands_ = std::make_shared<Crossing<LegCommand>>(here, deciding,
                                                     [desk = desk_](LegCommand&& c) { desk->take(std::move(c)); });
}

RequestId RemoteBackend::start(LegSpec spec, std::shared_ptr<LegSink> sink) {
  const FrontLeg leg(++last_);
  if (commands_->waiting() < bounds_.commands) {
    sinks_.emplace(leg, std::move(sink));
    commands_->put({leg, LegStart{std::move(spec)}}, 1);
  } else {
    boost::asio::post(here_, [sink = std::move(sink)] {
      sink->on_error(Error{Errc::resource_exhausted, "Too many requests wait to be placed; try again later.", {}},
                     std::chrono::seconds(1));
    });
  }
  return RequestId(leg.value());
}

void RemoteBackend::cancel(RequestId id, CancelReason reason) {
  const FrontLeg leg(id.value());
  if (sinks_.contains(leg)) commands_->put({leg, LegCancel{reason}}, 1);
}

void RemoteBackend::take(LegEvent&& event) {
  const auto found = sinks_.find(event.leg);
  if (found == sinks_.end()) return;
  const std::shared_ptr<LegSink> sink = found->second;
  if (std::holds_alternative<LegEnded>(event.what) || std::holds_alternative<LegFailed>(event.what))
    sinks_.erase(found);
  std::visit(Overloaded{[&](const TokenEvent& token) { sink->on_tokens({&token, 1}); },
                        [&](const std::vector<TokenEvent>& tokens) { sink->on_tokens(tokens); },
                        [&](const LegBegun& begun) { sink->on_begin(begun.fingerprint); },
                        [&](const LegRated& rated) { sink->on_prompt_logprobs(rated.first, rated.tokens); },
                        [&](const LegEnded& ended) { sink->on_finish(ended.end, *ended.stats); },
                        [&](const LegFailed& failed) { sink->on_error(failed.error, failed.retry_after); }},
             event.what);
}

}  // namespace sluice::coordinator
