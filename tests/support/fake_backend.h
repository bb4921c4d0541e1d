#pragma once
// A Backend whose legs do what the test says. Events are posted, as the interface asks.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <map>
#include <utility>

#include "coordinator/api/backend.h"
#include "tests/support/fake_model_text.h"

namespace sluice::test {

class FakeBackend final : public coordinator::Backend, public coordinator::StatusBackend {
 public:
  struct Leg {
    coordinator::LegSpec spec;
    std::shared_ptr<coordinator::LegSink> sink;
    std::optional<coordinator::CancelReason> cancelled;
    bool begun = false;
  };
  /// Called (posted) for each leg; the default plays the echo script: the prompt's bytes come back, then EOS.
  std::function<void(FakeBackend&, RequestId)> script = [](FakeBackend& b, RequestId id) { b.play_echo(id); };

  explicit FakeBackend(boost::asio::io_context& io) : io_(io) {
    info.id = "fake";
    info.aliases = {"other/name"};
    info.root = "/models/fake";
    info.created = 1700000000;
    info.max_model_len = 256;
    info.vocab_size = kFakeVocab;
    info.tokenizer_info = R"({"eos_token":"</s>"})";
    stats.prefill_node = NodeId("prefill-0");
    stats.decode_node = NodeId("decode-0");
    stats.profile = "q8";
    stats.kv_raw_bytes = 1000;
    stats.kv_wire_bytes = 250;
    stats.cached_tokens = 2;
    stats.ttft = std::chrono::milliseconds(20);
    stats.stages.prefill = std::chrono::milliseconds(5);
    stats.kl = 0.01;
  }

  const coordinator::ModelInfo& model() const override { return info; }
  const coordinator::ModelText& text() const override { return text_; }
  std::size_t largest_context() override { return largest; }
  RequestId start(coordinator::LegSpec spec, std::shared_ptr<coordinator::LegSink> sink) override {
    RequestId id(++last_);
    legs.emplace(id.value(), Leg{std::move(spec), std::move(sink), std::nullopt, false});
    boost::asio::post(io_, [this, id] {
      if (alive(id)) script(*this, id);
    });
    return id;
  }
  void cancel(RequestId id, coordinator::CancelReason reason) override {
    if (!alive(id)) return;
    legs.at(id.value()).cancelled = reason;
    cancels.push_back(reason);
    boost::asio::post(io_, [this, id] { finish(id, coordinator::LegEnd::cancelled); });
  }
  coordinator::Health health() const override { return health_now; }
  std::string metrics_text() const override { return "sluice_fake 1\n"; }
  std::string openmetrics_text() const override { return "sluice_fake 1\n# EOF\n"; }

  bool alive(RequestId id) const {
    auto it = legs.find(id.value());
    return it != legs.end() && it->second.sink;
  }
  void tokens(RequestId id, const std::vector<coordinator::TokenEvent>& t) {
    if (!alive(id)) return;
    Leg& leg = legs.at(id.value());
    const auto sink = leg.sink;
    if (!std::exchange(leg.begun, true)) sink->on_begin(fingerprint(leg.spec.choice));
    sink->on_tokens(t);
  }
  /// One event a byte, each with a log-probability and one alternative.
  void say(RequestId id, std::string_view bytes) {
    for (char c : bytes) {
      coordinator::TokenEvent t;
      t.id = static_cast<unsigned char>(c);
      t.logprob = -0.5F;
      t.top = {{t.id, -0.5F}, {'?', -2.0F}};
      tokens(id, {t});
    }
  }
  /// What a leg asked about its prompt: position p has log-probability -p and rank 2, after '?'.
  void rate(RequestId id) {
    if (!alive(id) || !legs.at(id.value()).spec.prompt_logprobs) return;
    const auto& spec = legs.at(id.value()).spec;
    for (std::size_t p = 1; p < spec.prompt->size(); ++p) {
      coordinator::RatedToken t{.id = (*spec.prompt)[p], .logprob = -static_cast<float>(p), .rank = 2, .top = {}};
      t.top = {{'?', -0.25F}, {t.id, t.logprob}};
      t.top.resize(std::min<std::size_t>(2, static_cast<std::size_t>(*spec.prompt_logprobs)));
      legs.at(id.value()).sink->on_prompt_logprobs(p, {&t, 1});
    }
  }
  void finish(RequestId id, coordinator::LegEnd end) {
    if (!alive(id)) return;
    auto sink = std::move(legs.at(id.value()).sink);
    sink->on_finish(end, stats);
  }
  void fail_leg(RequestId id, Error e, std::optional<Duration> retry_after = std::nullopt) {
    if (!alive(id)) return;
    auto sink = std::move(legs.at(id.value()).sink);
    sink->on_error(e, retry_after);
  }
  void play_echo(RequestId id) {
    rate(id);
    auto prompt = legs.at(id.value()).spec.prompt;
    auto left = legs.at(id.value()).spec.sampling.max_tokens;
    for (TokenId t : *prompt) {
      if (t >= 256) continue;
      if (left-- == 0) return finish(id, coordinator::LegEnd::length);
      char c = static_cast<char>(t);
      say(id, {&c, 1});
    }
    if (left == 0) return finish(id, coordinator::LegEnd::length);
    tokens(id, {coordinator::TokenEvent{kFakeEos, true, 0, {}}});
    finish(id, coordinator::LegEnd::stop);
  }

  coordinator::ModelInfo info;
  std::size_t largest = 0;
  std::function<std::string(int)> fingerprint = [](int) { return "fp_0123456789abcdef"; };  // by choice
  coordinator::LegStats stats;
  coordinator::Health health_now{true, "", nlohmann::json::object()};
  std::map<std::uint64_t, Leg> legs;
  std::vector<coordinator::CancelReason> cancels;

 private:
  boost::asio::io_context& io_;
  FakeModelText text_;
  std::uint64_t last_ = 0;
};

}  // namespace sluice::test
