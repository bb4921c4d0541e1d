#include "coordinator/serving/leg_events.h"

#include <algorithm>
#include <ranges>

#include "common/log.h"

namespace sluice::coordinator {

using nlohmann::json;
namespace ctl = control;

bool LegEvents::on_event(const NodeId& node, const std::string& type, const json& body) {
  const auto read = [&]<class M>(void (LegEvents::*then)(const NodeId&, M)) {
    auto m = ctl::parse<std::remove_cvref_t<M>>(body);
    if (m)
      (this->*then)(node, std::move(*m));
    else
      log::warn("bad message", {{"node", node}, {"why", m.error().message}});
    return true;
  };
  if (type == ctl::type::kTokens) return read(&LegEvents::on_tokens);
  if (type == ctl::type::kPromptLogprobs) return read(&LegEvents::on_prompt_logprobs);
  if (type == ctl::type::kPrefillDone) return read(&LegEvents::on_prefill_done);
  if (type == ctl::type::kKvReady) return read(&LegEvents::on_kv_ready);
  if (type == ctl::type::kFinished) return read(&LegEvents::on_finished);
  if (type == ctl::type::kHalted) return read(&LegEvents::on_halted);
  if (type == ctl::type::kMoved) return read(&LegEvents::on_moved);
  return false;
}

void LegEvents::on_tokens(const NodeId& node, const ctl::Tokens& m) {
  const TimePoint now = use_.clock.now();
  for (const auto& item : m.items) {
    const SessionPtr s = use_.legs.find(item.request);
    // The prefill node's own report may still be on its way: a token proves that its KV arrived.
    if (s && (s->state == SessionState::decoding || s->state == SessionState::prefilling) &&
        use_.moves.admits(s, node, item.index))
      on_token(s, item, now);
  }
}

void LegEvents::on_token(const SessionPtr& s, const ctl::Tokens::Item& item, TimePoint now) {
  Answer& a = s->answer;
  if (item.index < a.emitted.size()) return;  // replayed; the client has it
  if (item.index > a.emitted.size())
    return use_.placer.again(s, Error{Errc::data_corrupt, "a token is missing in the node's stream", {}});
  s->state = SessionState::decoding;
  use_.account.local_done(*s);
  a.emitted.push_back(item.token.id);
  use_.account.grew(*s);
  if (!a.first_token) {
    a.first_token = now;
    use_.figures.on_first_token(*s);
    s->sink->on_begin(fingerprints_.of(*s));
  } else {
    use_.figures.on_token_gap(*s, seconds(now - a.last_token));
  }
  a.last_token = now;
  TokenEvent e{.id = item.token.id, .stop = item.token.stop, .logprob = item.token.logprob, .top = {}};
  for (const auto& t : item.token.top) e.top.push_back({t.id, t.logprob});
  s->sink->on_tokens({&e, 1});
}

void LegEvents::on_prompt_logprobs(const NodeId& node, const ctl::PromptLogprobs& m) {
  const SessionPtr s = use_.legs.find(m.request);
  if (!s || s->run.prefill != node || s->run.prefill_reported || m.attempt != s->run.number) return;
  if (!s->placed() && s->state != SessionState::reporting) return;
  const std::vector<TokenId>& prompt = *s->asked.spec.prompt;
  const std::size_t end = std::size_t{m.first} + m.tokens.size();
  const auto ids = std::views::transform(m.tokens, &ctl::RatedToken::id);
  const bool ours = s->asked.spec.prompt_logprobs && m.first == s->run.rated + 1 && end <= prompt.size() &&
                    std::ranges::equal(ids, std::span(prompt).subspan(m.first, m.tokens.size()));
  if (!ours) {
    log::warn("log-probabilities of another prompt", {{"node", node}, {"leg", m.request}});
    return;  // without those the answer cannot end well
  }
  s->run.rated += static_cast<std::uint32_t>(m.tokens.size());
  std::vector<RatedToken> tokens;
  for (const auto& t : m.tokens) {
    RatedToken& r = tokens.emplace_back(RatedToken{t.id, t.logprob, static_cast<int>(t.rank), {}});
    for (const auto& [id, logprob] : t.top) r.top.push_back({id, logprob});
  }
  s->sink->on_prompt_logprobs(m.first, tokens);
}

void LegEvents::on_prefill_done(const NodeId& node, const ctl::PrefillDone& m) {
  const SessionPtr s = use_.legs.find(m.request);
  if (!s || s->run.prefill != node || s->run.prefill_reported || !s->reports_now(m.attempt)) return;
  const bool done = s->state == SessionState::reporting;
  if (m.error) {
    use_.account.prefill_dropped(*s);
    // Tokens prove that the KV arrived: what failed afterwards is not the answer's concern.
    if (!done && (s->state != SessionState::decoding || !s->rated())) return use_.placer.again(s, *m.error);
  }
  Figures& f = s->seen;
  f.node_queue_s = m.queue_s;
  f.prefill_s = m.compute_s;
  f.encode_s = m.encode_s;
  f.wire_s = m.wire_s;
  f.exposed_s = m.exposed_s;
  f.raw_bytes += m.raw_bytes;
  f.wire_bytes += m.wire_bytes;
  f.link_bytes = m.link_bytes;
  f.link_busy_s = m.link_busy_s;
  f.cached_tokens = std::min(m.cached_tokens, s->run.cut);
  if (!m.error) {
    f.spared_tokens = std::min(f.spared_tokens.value_or(f.cached_tokens), f.cached_tokens);
    if (!s->asked.spec.prompt_logprobs) use_.figures.on_prefix(s->run.cut, f.cached_tokens);
  }
  f.mixed |= !m.changed_to.empty();
  if (!s->run.prefill_reported) use_.account.prefill_done(*s);
  if (s->state == SessionState::prefilling) s->state = SessionState::decoding;
  if (done) use_.endings.complete(s);
}

void LegEvents::on_kv_ready(const NodeId& node, ctl::KvReady m) {
  const SessionPtr s = use_.legs.find(m.request);
  const bool awaited = s && (s->state == SessionState::prefilling || s->state == SessionState::decoding);
  if (!awaited || use_.moves.on_kv_ready(s, node) || s->run.decode != node) return;
  s->seen.decode_s = m.decode_s;
  if (const auto right = use_.changes.arrived(*s, std::move(m.change)); !right) use_.placer.again(s, right.error());
}

void LegEvents::on_finished(const NodeId& node, const ctl::Finished& m) {
  const SessionPtr s = use_.legs.find(m.request);
  if (!s || !s->placed() || use_.moves.on_finished(s, node, m)) return;
  if (s->run.decode != node || !s->reports_now(m.attempt)) return;
  if (m.error) return use_.placer.again(s, *m.error);
  if (m.reason == "cancelled") return;  // we asked for it and have moved on
  s->seen.swapped += m.swapped;
  s->seen.recomputed += m.recomputed;
  s->seen.parked_s += m.parked_s;
  if (m.reason == "preempted") return use_.placer.preempted(s);
  use_.account.local_done(*s);  // an answer can end without a token
  use_.account.release(*s);
  s->end.reason = m.reason;
  s->end.finished = use_.clock.now();
  s->seen.first_step_s = m.first_step_s;
  s->seen.local_queue_s = m.local_queue_s;
  s->seen.local_s = m.local_s;
  s->seen.local_tokens = m.local_tokens;
  s->state = SessionState::reporting;
  // A short answer can overtake the prefill node's report; its figures are worth a moment.
  if (s->run.prefill_reported) use_.endings.complete(s);
}

}  // namespace sluice::coordinator
