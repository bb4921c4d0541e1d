#include "coordinator/serving/legs.h"

#include <boost/asio/post.hpp>
#include <chrono>

namespace sluice::coordinator {
namespace {

/// The prefill node's report may come this much after a leg's last token.
constexpr std::chrono::milliseconds kReportGrace{250};

}  // namespace

Legs::Legs(const Uses& u, const Options& o)
    : use_(u),
      lifetime_s_(o.intake.lifetime_s),
      table_(o.ids),
      account_({u.view, u.placement, u.links, u.clock, intake_}),
      changes_(u.view, u.figures, o.profile_changes),
      placer_({u.io, u.clock, u.view, u.placement, table_, intake_, account_, changes_, u.quality, u.calls, endings_,
               moves_, u.prefixes, u.figures, o.local_prefill}),
      intake_(u.placement, placer_, o.intake),
      endings_({table_, account_, intake_, u.placement, u.view, u.log, u.figures, u.clock, u.roles}),
      moves_({table_, account_, u.view, u.calls, placer_, u.move_figures, u.clock}),
      desk_({u.clock, u.view, u.placement, table_, intake_, placer_, moves_}, o.mover),
      events_({table_, account_, changes_, placer_, moves_, endings_, u.figures, u.clock}) {}

/// A leg's own objectives and budget win over its class's.
Asked Legs::asked(LegSpec spec, const Slo& slo) const {
  Asked a;
  a.features.prompt_tokens = static_cast<std::uint32_t>(spec.prompt->size());
  a.features.max_new_tokens = static_cast<std::uint32_t>(spec.sampling.max_tokens);
  a.features.ttft_slo_s = spec.slo_ttft ? seconds(*spec.slo_ttft) : slo.ttft_s;
  a.features.tpot_slo_s = spec.slo_tpot ? seconds(*spec.slo_tpot) : slo.tpot_s;
  // Who gives a seed wants the same answer again: another profile's KV would give another one.
  a.features.quality_budget = spec.quality_budget.value_or(spec.seeded && !slo.seeded_lossy ? 0 : slo.quality_kl);
  a.features.objective = slo.objective;
  a.features.attainment = slo.attainment;
  a.features.may_explore = !spec.seeded && spec.sampling.temperature > 0;
  a.features.profile = spec.profile;
  a.slo_class = spec.slo_class.empty() ? kDefaultClass : spec.slo_class;
  a.features.cut = spec.cut;
  if (spec.mode == LegMode::colocated) a.features.cut = 0;
  // The log-probabilities of a prompt are computed by a prefill node.
  if (spec.mode == LegMode::split || spec.prompt_logprobs) a.features.cut = a.features.split_cut();
  if (spec.priority == 0) spec.priority = slo.priority;
  a.spec = std::move(spec);
  return a;
}

RequestId Legs::start(LegSpec spec, std::shared_ptr<LegSink> sink) {
  const auto slo = use_.slos.find(spec.slo_class.empty() ? kDefaultClass : spec.slo_class);
  std::optional<Error> unknown_class;
  if (!slo) unknown_class = Error{Errc::invalid_argument, slo.error().message, "x-slo-class"};
  const SessionPtr s = table_.add(asked(std::move(spec), slo.value_or(use_.slos.defaults())), std::move(sink));
  if (s->asked.spec.trace) s->trace = std::make_unique<LegTrace>(s->asked.spec.trace, use_.clock.now());
  boost::asio::post(use_.io, [this, s, unknown_class] {
    if (s->state == SessionState::ended) return;
    if (unknown_class) return endings_.fail(s, *unknown_class, std::nullopt);
    if (draining_)
      return endings_.fail(s, Error{Errc::unavailable, "the coordinator is draining; try another one", {}}, 1.0);
    if (s->asked.bound() && use_.view.without_grammars())
      return endings_.fail(s,
                           Error{Errc::unsupported,
                                 "no decode node here keeps an answer to a schema or grammar: the model has no "
                                 "tokenizer there, or the nodes are of an older version",
                                 {}},
                           std::nullopt);
    placer_.place(s);
  });
  return s->id;
}

void Legs::cancel(RequestId id, CancelReason reason) {
  const SessionPtr s = table_.find(id);
  if (!s || s->state == SessionState::ended) return;
  const bool whole = reason == CancelReason::stop_string;
  if (s->state == SessionState::reporting && (whole || s->rated())) return;  // over; its end is about to be told
  if (whole && !s->rated()) return placer_.wait_for_rating(s);
  placer_.undo(s);
  endings_.learn(*s);
  // Not placed any more by whoever ends before finish() runs, such as another choice of the same client.
  intake_.withdraw(s->turn());
  const std::string_view outcome = reason == CancelReason::stop_string ? "stop" : "cancelled";
  s->state = SessionState::ended;
  boost::asio::post(use_.io, [this, s, outcome] { endings_.finish(s, LegEnd::cancelled, outcome); });
}

void Legs::on_node_lost(const NodeId& node) {
  moves_.on_node_lost(node);
  for (const SessionPtr& s : table_.on_node(node))
    if (s->state == SessionState::reporting)
      endings_.complete(s);  // nothing more comes
    else if (s->run.decode != node && s->state == SessionState::decoding && s->rated())
      account_.prefill_dropped(*s);  // its KV has arrived; only the report is lost
    else
      placer_.again(s, Error{Errc::unavailable, fmt::format("node '{}' was lost", node), {}});
}

void Legs::sweep() {
  const TimePoint now = use_.clock.now();
  std::vector<SessionPtr> late;
  std::vector<SessionPtr> unreported;
  for (const auto& [id, s] : table_.all()) {
    const bool over = seconds(now - s->asked.spec.received) > lifetime_s_;
    if (s->state == SessionState::reporting && s->rated()) {
      if (now - s->end.finished > kReportGrace) unreported.push_back(s);
      continue;
    }
    if (over && s->state != SessionState::ended && !intake_.waits(s->turn())) late.push_back(s);
  }
  for (const SessionPtr& s : unreported) endings_.complete(s);
  for (const SessionPtr& s : late) {
    placer_.undo(s);
    endings_.fail(s, Error{Errc::deadline_exceeded, "the request ran past its time limit", {}}, std::nullopt);
  }
  account_.expect_others();
  intake_.expire(now);
  intake_.pump(now);
  desk_.sweep();
}

}  // namespace sluice::coordinator
