#include "coordinator/serving/serving.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cmath>

#include "common/log.h"

namespace sluice::coordinator {

using nlohmann::json;
namespace ctl = control;

namespace {

constexpr std::chrono::milliseconds kCallTimeout{5000};
constexpr std::chrono::milliseconds kSweep{100};

/// The prefill node's report may come this much after a leg's last token.
constexpr std::chrono::milliseconds kReportGrace{250};

/// Errors of a node that another placement may heal.
bool worth_another_try(Errc c) {
  return c == Errc::unavailable || c == Errc::resource_exhausted || c == Errc::deadline_exceeded || c == Errc::stale ||
         c == Errc::data_corrupt || c == Errc::already_exists;
}

}  // namespace

Serving::Serving(boost::asio::io_context& io, const Clock& clock, const ServingOptions& o, ModelInfo model,
                 std::unique_ptr<ModelText> text, Metrics& metrics)
    : io_(io),
      clock_(clock),
      options_(o),
      model_(std::move(model)),
      text_(std::move(text)),
      metrics_(metrics),
      figures_(metrics, model_.id),
      view_(std::chrono::milliseconds(o.registry.lease_ms)),
      placement_(o.controller),
      intake_(placement_, *this,
              {.max_wait_s = o.max_wait_s,
               .max_tpot_s = o.max_tpot_s,
               .lifetime_s = o.request_timeout_s,
               .max_waiting = o.max_waiting}),
      link_probes_(o.link_probe_s),
      quality_(o.quality),
      slos_(o.slo),
      sweep_timer_(io),
      registry_(io, clock, o.registry, view_,
                {.on_up = [this](const NodeId& n) { on_node_up(n); },
                 .on_lost = [this](const NodeId& n) { on_node_lost(n); },
                 .on_event = [this](const NodeId& n, const std::string& t, const json& b) { on_event(n, t, b); }}) {
  sweep();
}

void Serving::stop() {
  sweep_timer_.cancel();
  registry_.stop();
}

Serving::SessionPtr Serving::find(RequestId id) const {
  const auto it = sessions_.find(id);
  return it == sessions_.end() ? nullptr : it->second;
}

RequestId Serving::start(LegSpec spec, std::shared_ptr<LegSink> sink) {
  auto s = std::make_shared<Session>();
  s->id = RequestId(next_id_++);
  s->features.prompt_tokens = static_cast<std::uint32_t>(spec.prompt->size());
  s->features.max_new_tokens = static_cast<std::uint32_t>(spec.sampling.max_tokens);
  s->slo_class = spec.slo_class.empty() ? kDefaultClass : spec.slo_class;
  const auto found = slos_.find(s->slo_class);
  const Slo slo = found.value_or(slos_.defaults());
  s->features.ttft_slo_s = spec.slo_ttft ? seconds(*spec.slo_ttft) : slo.ttft_s;
  s->features.tpot_slo_s = spec.slo_tpot ? seconds(*spec.slo_tpot) : slo.tpot_s;
  s->features.quality_budget = spec.quality_budget.value_or(slo.quality_kl);
  if (spec.priority == 0) spec.priority = slo.priority;
  s->features.profile = spec.profile;
  s->colocated = spec.mode == LegMode::colocated || spec.prompt->size() == 1;
  s->spec = std::move(spec);
  s->sink = std::move(sink);
  sessions_.emplace(s->id, s);
  std::optional<Error> unknown_class;
  if (!found) unknown_class = Error{Errc::invalid_argument, found.error().message, "x-slo-class"};
  boost::asio::post(io_, [this, s, unknown_class] {
    if (s->state == SessionState::ended) return;
    if (unknown_class) return fail_session(s, *unknown_class, std::nullopt);
    if (draining_)
      return fail_session(s, Error{Errc::unavailable, "the coordinator is draining; try another one", {}}, 1.0);
    place(s);
  });
  return s->id;
}

void Serving::place(const SessionPtr& s) {
  s->state = SessionState::waiting;
  const auto own = [](const std::optional<Duration>& d) { return d ? std::optional(seconds(*d)) : std::nullopt; };
  intake_.arrive({.turn = s->turn(),
                  .ttft_s = own(s->spec.slo_ttft),
                  .tpot_s = own(s->spec.slo_tpot),
                  .resumed = s->resumes > 0,
                  .colocated = s->colocated},
                 clock_.now());
}

void Serving::launch(const SessionPtr& s, const ClusterSnapshot& c, const Decision& d) {
  const Candidate& k = d.chosen;
  s->trial = d.trial;
  s->prefill = c.prefills[k.prefill].id;
  s->decode = c.decodes[k.decode].id;
  s->profile = c.profiles[k.profile].name;
  s->chosen = k;
  placement_.placed(s->chosen, clock_.now());
  link_probes_.began({s->prefill, s->decode});
  s->predicted_ttft_s = k.predicted_ttft_s;
  s->predicted_tpot_s = k.predicted_tpot_s;
  s->kl = k.kl;
  s->reason = s->trial ? ChoiceReason::explore : d.reason;
  s->considered = d.considered;
  s->probed = s->resumes == 0 && (s->trial || quality_.wants_probe(s->profile));
  s->prefill_tokens = s->features.prompt_tokens - 1;
  s->prefill_reported = false;
  s->blocks = blocks_needed(s->features, c.decodes[k.decode].block_size);
  offer_fallbacks(*s, c);
  remember_bits(*s);
  reserve(s);
}

void Serving::remember_bits(Session& s) const {
  if (!s.emitted.empty()) return;  // the same as those that began it
  if (const NodeRecord* p = view_.find(s.prefill)) s.prefill_bits = bits_of(p->info);
  if (const NodeRecord* d = view_.find(s.decode)) s.decode_bits = bits_of(d->info);
}

void Serving::launch_colocated(const SessionPtr& s, const ClusterSnapshot& c, const Decision& d) {
  s->prefill = NodeId();
  s->decode = c.decodes[d.chosen.decode].id;
  s->profile.clear();
  s->prefill_tokens = 0;
  s->prefill_reported = true;
  s->predicted_tpot_s = 0;
  s->reason = d.reason;
  s->considered = d.considered;
  s->probed = false;
  s->blocks = blocks_needed(s->features, c.decodes[d.chosen.decode].block_size);
  remember_bits(*s);
  reserve(s);
}

void Serving::reserve(const SessionPtr& s) {
  s->state = SessionState::reserving;
  s->decided = clock_.now();
  ++s->placement;
  view_.assign(s->prefill, s->prefill_tokens, s->decode, s->blocks);
  figures_.on_decision(*s);
  ctl::ReserveRequest r;
  r.request = s->id;
  r.attempt = s->placement;
  r.trace_id = s->spec.request_id;
  r.tokens = *s->spec.prompt;
  r.prompt_tokens = s->features.prompt_tokens;
  r.tokens.insert(r.tokens.end(), s->emitted.begin(), s->emitted.end());
  r.kv_tokens = s->colocated ? 0 : s->features.prompt_tokens - 1;
  r.max_new_tokens = s->features.max_new_tokens;
  r.sampling = s->spec.sampling;
  r.profile = s->profile;
  for (std::size_t i = 1; i < s->ways.size(); ++i) r.fallbacks.push_back(s->ways[i].profile);
  if (s->change) r.fallbacks = {s->change->to};
  r.prefill_node = s->prefill;
  if (const NodeRecord* p = view_.find(s->prefill)) r.prefill_incarnation = p->info.incarnation;
  r.timeout_ms = static_cast<std::uint32_t>(options_.request_timeout_s * 1e3);
  r.priority = s->spec.priority;
  r.probe = s->probed;
  registry_.call(s->decode, ctl::type::kReserve, to_json(r), kCallTimeout,
                 [this, s, placement = s->placement](Result<json> reply) { reserved(s, placement, std::move(reply)); });
}

void Serving::reserved(const SessionPtr& s, std::uint32_t placement, Result<json> reply) {
  if (s->placement != placement || s->state != SessionState::reserving) return;
  if (!reply) return again(s, reply.error());
  auto parsed = ctl::parse<ctl::ReserveReply>(*reply);
  if (!parsed) return again(s, parsed.error());
  if (s->colocated) {
    s->state = SessionState::decoding;
    return;
  }
  prefill(s, std::move(*parsed));
}

void Serving::prefill(const SessionPtr& s, ctl::ReserveReply reply) {
  s->state = SessionState::prefilling;
  ctl::PrefillRequest p;
  p.request = s->id;
  p.attempt = s->placement;
  p.trace_id = s->spec.request_id;
  p.tokens.assign(s->spec.prompt->begin(), s->spec.prompt->end() - 1);
  p.ticket = std::move(reply.ticket);
  p.data_address = std::move(reply.data_address);
  p.profile = s->profile;
  p.priority = s->spec.priority;
  p.timeout_ms = static_cast<std::uint32_t>(options_.request_timeout_s * 1e3);
  if (s->probed) p.probe_token = s->spec.prompt->back();
  p.link_bps = s->link_bps;
  p.ways = s->ways;
  p.change = s->change;
  registry_.call(s->prefill, ctl::type::kPrefill, to_json(p), kCallTimeout,
                 [this, s, placement = s->placement](Result<json> r) {
                   if (s->placement == placement && s->state == SessionState::prefilling && !r) again(s, r.error());
                 });
}

/// Takes back what the present placement holds, on the nodes and in our account.
void Serving::undo(const SessionPtr& s) {
  if (!s->placed()) return;
  if (!s->prefill_reported) {
    drop_prefill(s);
    tell_cancel(s->prefill, s->id);
  }
  view_.release(s->decode, s->blocks);
  tell_cancel(s->decode, s->id);
}

/// No report of this prefill is expected any more.
void Serving::drop_prefill(const SessionPtr& s) {
  view_.prefill_finished(s->prefill, s->prefill_tokens);
  link_probes_.ended({s->prefill, s->decode}, clock_.now());
  placement_.abandoned(s->chosen);
  s->prefill_reported = true;
}

void Serving::tell_cancel(const NodeId& node, RequestId id) {
  if (view_.find(node) == nullptr) return;
  registry_.call(node, ctl::type::kCancel, to_json(ctl::CancelRequest{id}), kCallTimeout, [node, id](Result<json> r) {
    if (!r) log::warn("cancel not acknowledged", {{"node", node}, {"leg", id.value()}, {"why", r.error().message}});
  });
}

/// The placement failed: try another one, or give up when the failure is the request's own or there were too many.
void Serving::again(const SessionPtr& s, const Error& why) {
  log::warn("placement failed", {{"request_id", s->spec.request_id},
                                 {"prefill", s->prefill},
                                 {"decode", s->decode},
                                 {"code", name(why.code)},
                                 {"why", why.message}});
  undo(s);
  s->state = SessionState::waiting;
  if (!s->colocated && why.code != Errc::resource_exhausted) placement_.failed(s->chosen, clock_.now());
  if (!worth_another_try(why.code) || s->resumes >= kMaxResumes) return fail_session(s, why, 1.0);
  ++s->resumes;
  boost::asio::post(io_, [this, s] {
    if (s->state == SessionState::waiting) place(s);
  });
}

void Serving::cancel(RequestId id, CancelReason reason) {
  const SessionPtr s = find(id);
  if (!s || s->state == SessionState::ended) return;
  if (s->state == SessionState::reporting) return;  // over already; its end is about to be told
  undo(s);
  learn(*s);
  // Not placed any more by whoever ends before finish() runs, such as another choice of the same client.
  intake_.withdraw(s->turn());
  const std::string_view outcome = reason == CancelReason::stop_string ? "stop" : "cancelled";
  s->state = SessionState::ended;
  boost::asio::post(io_, [this, s, outcome] { finish(s, LegEnd::cancelled, outcome); });
}

void Serving::on_node_up(const NodeId& node) {
  const NodeRecord* n = view_.find(node);
  if (n == nullptr) return;
  if (const NodeRecord* other = view_.unlike(*n))
    log::warn(
        "nodes compute with other bits: neither continues the other's answers after a failure",
        {{"node", node}, {"other", other->info.node}, {"differ", difference(bits_of(n->info), bits_of(other->info))}});
  bind_quality();
  probe_paths(node);
  pump();
}

void Serving::on_node_lost(const NodeId& node) {
  link_probes_.forget(node);
  std::vector<SessionPtr> hit;
  for (const auto& [id, s] : sessions_) {
    if (!s->placed()) continue;
    if (s->decode == node || (s->prefill == node && !s->prefill_reported)) hit.push_back(s);
  }
  std::ranges::sort(hit, {}, [](const SessionPtr& s) { return s->id; });
  for (const SessionPtr& s : hit)
    if (s->decode != node && s->state == SessionState::decoding)
      drop_prefill(s);  // its KV has arrived; only the report is lost
    else
      again(s, Error{Errc::unavailable, fmt::format("node '{}' was lost", node), {}});
}

void Serving::on_event(const NodeId& node, const std::string& type, const json& body) {
  if (type == ctl::type::kTokens) return on_tokens(node, body);
  if (type == ctl::type::kPrefillDone) return on_prefill_done(node, body);
  if (type == ctl::type::kKvReady) return on_kv_ready(node, body);
  if (type == ctl::type::kFinished) return on_finished(node, body);
  if (type == ctl::type::kProbeResult) return on_probe_result(node, body);
  log::debug("unknown event", {{"node", node}, {"type", type}});
}

void Serving::on_tokens(const NodeId& node, const json& body) {
  auto m = ctl::parse<ctl::Tokens>(body);
  if (!m) return log::warn("bad message", {{"node", node}, {"why", m.error().message}});
  for (const auto& item : m->items) {
    const SessionPtr s = find(item.request);
    // The prefill node's own report may still be on its way: a token proves that its KV arrived.
    if (s && s->decode == node && (s->state == SessionState::decoding || s->state == SessionState::prefilling))
      on_token(s, item);
  }
}

void Serving::on_token(const SessionPtr& s, const ctl::Tokens::Item& item) {
  if (item.index < s->emitted.size()) return;  // replayed; the client has it
  if (item.index > s->emitted.size())
    return again(s, Error{Errc::data_corrupt, "a token is missing in the node's stream", {}});
  const TimePoint now = clock_.now();
  s->state = SessionState::decoding;
  s->emitted.push_back(item.token.id);
  if (!s->first_token) {
    s->first_token = now;
    figures_.on_first_token(*s);
  } else {
    figures_.on_token_gap(seconds(now - s->last_token));
  }
  s->last_token = now;
  TokenEvent e{.id = item.token.id, .stop = item.token.stop, .logprob = item.token.logprob, .top = {}};
  for (const auto& t : item.token.top) e.top.push_back({t.id, t.logprob});
  s->sink->on_tokens({&e, 1});
}

void Serving::on_prefill_done(const NodeId& node, const json& body) {
  auto m = ctl::parse<ctl::PrefillDone>(body);
  if (!m) return log::warn("bad message", {{"node", node}, {"why", m.error().message}});
  const SessionPtr s = find(m->request);
  if (!s || s->prefill != node || s->prefill_reported || !s->reports_now(m->attempt)) return;
  const bool done = s->state == SessionState::reporting;
  if (m->error) {
    drop_prefill(s);
    // Tokens prove that the KV arrived: what failed afterwards is not the answer's concern.
    if (!done && s->state != SessionState::decoding) return again(s, *m->error);
  }
  s->node_queue_s = m->queue_s;
  s->prefill_s = m->compute_s;
  s->encode_s = m->encode_s;
  s->wire_s = m->wire_s;
  s->exposed_s = m->exposed_s;
  s->raw_bytes += m->raw_bytes;
  s->wire_bytes += m->wire_bytes;
  s->link_bytes = m->link_bytes;
  s->link_busy_s = m->link_busy_s;
  s->mixed |= !m->changed_to.empty();
  if (!s->prefill_reported) {
    s->prefill_reported = true;
    view_.prefill_finished(node, s->prefill_tokens);
    link_probes_.ended({s->prefill, s->decode}, clock_.now());
    placement_.prefill_done(s->chosen, s->measured(), clock_.now());
  }
  if (s->state == SessionState::prefilling) s->state = SessionState::decoding;
  if (done) complete(s);
}

void Serving::on_finished(const NodeId& node, const json& body) {
  auto m = ctl::parse<ctl::Finished>(body);
  if (!m) return log::warn("bad message", {{"node", node}, {"why", m.error().message}});
  const SessionPtr s = find(m->request);
  if (!s || s->decode != node || !s->placed() || !s->reports_now(m->attempt)) return;
  if (m->error) return again(s, *m->error);
  if (m->reason == "cancelled") return;  // we asked for it and have moved on
  view_.release(s->decode, s->blocks);
  s->end_reason = m->reason;
  s->first_step_s = m->first_step_s;
  s->finished = clock_.now();
  s->state = SessionState::reporting;
  // A short answer can overtake the prefill node's report; its figures are worth a moment.
  if (s->prefill_reported) complete(s);
}

void Serving::complete(const SessionPtr& s) {
  if (!s->prefill_reported) drop_prefill(s);
  learn(*s);
  s->state = SessionState::ended;
  finish(s, s->end_reason == "stop" ? LegEnd::stop : LegEnd::length, s->end_reason);
}

/// Teaches the policies from a leg that ran undisturbed.
void Serving::learn(const Session& s) {
  if (s.colocated || s.resumes > 0 || !s.first_token) return;
  Measured m = s.measured();
  if (const NodeRecord* d = view_.find(s.decode)) m.seqs = d->seqs + 1.0;  // it was one of them
  placement_.finished(s.chosen, m, clock_.now());
}

void Serving::finish(const SessionPtr& s, LegEnd how, std::string_view outcome) {
  const LegStats stats = s->stats();
  end(s, outcome);
  s->sink->on_finish(how, stats);
  s->sink.reset();
  pump();
}

void Serving::fail_session(const SessionPtr& s, Error e, std::optional<double> retry_after_s) {
  if (s->state == SessionState::ended) return;
  s->state = SessionState::ended;
  s->error = e;
  end(s, name(e.code));
  std::optional<Duration> after;
  if (retry_after_s) after = from_seconds(*retry_after_s);
  s->sink->on_error(e, after);
  s->sink.reset();
}

void Serving::end(const SessionPtr& s, std::string_view outcome) {
  const TimePoint now = clock_.now();
  if (!s->emitted.empty()) intake_.observe_output(static_cast<double>(s->emitted.size()), outcome == "stop");
  const double e2e = seconds((s->finished == TimePoint{} ? now : s->finished) - s->spec.received);
  figures_.on_end(*s, outcome, e2e);
  log_.record(*s, outcome, unix_now());
  log::info("leg ended", {{"request_id", s->spec.request_id},
                          {"outcome", outcome},
                          {"prefill", s->prefill},
                          {"decode", s->decode},
                          {"profile", s->colocated ? "none" : s->profile},
                          {"prompt_tokens", s->features.prompt_tokens},
                          {"output_tokens", s->emitted.size()},
                          {"ttft_ms", s->ttft_s().value_or(0) * 1e3},
                          {"e2e_ms", e2e * 1e3}});
  intake_.withdraw(s->turn());
  sessions_.erase(s->id);
}

/// Ends legs whose time is up: those that waited past their deadline and those that ran past the request timeout.
void Serving::sweep() {
  const TimePoint now = clock_.now();
  std::vector<SessionPtr> late;
  std::vector<SessionPtr> unreported;
  for (const auto& [id, s] : sessions_) {
    if (s->state == SessionState::reporting) {
      if (now - s->finished > kReportGrace) unreported.push_back(s);
      continue;
    }
    const bool over = seconds(now - s->spec.received) > options_.request_timeout_s;
    if (over && s->state != SessionState::ended && !intake_.waits(s->turn())) late.push_back(s);
  }
  for (const SessionPtr& s : unreported) complete(s);
  for (const SessionPtr& s : late) {
    undo(s);
    fail_session(s, Error{Errc::deadline_exceeded, "the request ran past its time limit", {}}, std::nullopt);
  }
  intake_.expire(now);
  pump();
  measure_idle_links();
  sweep_timer_.expires_after(kSweep);
  sweep_timer_.async_wait([this](boost::system::error_code ec) {
    if (!ec) sweep();
  });
}

Result<Slo> Serving::change_slo(const std::string& name, const json& settings, const std::string& who) {
  SLUICE_ASSIGN(const Slo slo, slos_.change(name, settings));
  note_slo(name, slo_json(slo), who);
  return slo;
}

Result<> Serving::remove_slo(const std::string& name, const std::string& who) {
  SLUICE_TRY(slos_.remove(name));
  note_slo(name, nullptr, who);
  return {};
}

void Serving::note_slo(const std::string& name, json now, const std::string& who) {
  log::info("SLO changed", {{"class", name}, {"peer", who}, {"slo", now.dump()}});
  log_.record_change({{"event", "slo_changed"}, {"slo_class", name}, {"slo", std::move(now)}, {"peer", who}},
                     unix_now());
  if (on_change_) on_change_();
}

Result<json> Serving::explain_slo(const std::string& name) {
  SLUICE_ASSIGN(const Slo slo, slos_.find(name));
  return coordinator::explain_slo(name, slo, log_.recent(name), view_.snapshot(), placement_, clock_.now());
}

Result<> Serving::drain_node(const NodeId& node) {
  if (!view_.set_draining(node, true)) return fail(Errc::not_found, "node '{}' is not registered", node);
  registry_.call(node, ctl::type::kDrain, json::object(), kCallTimeout, [node](Result<json> r) {
    if (!r) log::warn("drain not acknowledged", {{"node", node}, {"why", r.error().message}});
  });
  return {};
}

Health Serving::health() const {
  Health h;
  int ready[2] = {0, 0};
  for (const auto& [id, n] : view_.nodes())
    if (!n.draining) ++ready[n.info.role == ctl::Role::decode ? 1 : 0];
  h.detail = {{"prefill_nodes", ready[0]},
              {"decode_nodes", ready[1]},
              {"waiting", intake_.waiting()},
              {"active", sessions_.size()}};
  h.ready = !draining_ && ready[0] > 0 && ready[1] > 0;
  if (draining_)
    h.reason = "draining";
  else if (ready[0] == 0)
    h.reason = "no prefill node is ready";
  else if (ready[1] == 0)
    h.reason = "no decode node is ready";
  return h;
}

std::string Serving::metrics_text() const {
  figures_.refresh(view_, intake_.waiting(), sessions_.size() - intake_.waiting());
  return metrics_.text();
}

}  // namespace sluice::coordinator
