#include "decode_node/token_out.h"

namespace sluice::decode {

TokenOut::TokenOut(Metrics& metrics, Send send)
    : sampled_(metrics.counter("sluice_decode_tokens_total", "Tokens sampled on this node.")),
      ended_(metrics.counters("sluice_decode_legs_total", "Legs ended on this node.")),
      send_(std::move(send)) {}

void TokenOut::on_token(RequestId id, std::uint32_t index, const engine::Sampled& s, bool stop) {
  control::SampledToken e{.id = s.token, .stop = stop, .logprob = s.logprob.value_or(0.0F), .top = {}};
  for (const auto& t : s.top_logprobs) e.top.push_back({t.token, t.logprob});
  sampled_.add();
  const std::lock_guard lock(mutex_);
  tokens_[control::space_of(id)].items.push_back({id, index, std::move(e)});
}

void TokenOut::on_finished(const control::Finished& f) {
  ended_.with({{"reason", f.reason}}).add();
  const std::lock_guard lock(mutex_);
  finished_.push_back(f);
}

void TokenOut::flush() {
  // Sent under the mutex, so that two flushes cannot swap a leg's last token and its end.
  const std::lock_guard lock(mutex_);
  for (auto& [space, tokens] : tokens_) {
    if (tokens.items.empty()) continue;
    send_(tokens.items.front().request, control::type::kTokens, to_json(tokens));
    tokens.items.clear();
  }
  for (const control::Finished& f : finished_) send_(f.request, control::type::kFinished, to_json(f));
  finished_.clear();
  if (tokens_.size() > kMostIdle) std::erase_if(tokens_, [](const auto& t) { return t.second.items.empty(); });
}

}  // namespace sluice::decode
