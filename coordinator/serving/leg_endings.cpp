#include "coordinator/serving/leg_endings.h"

#include "common/log.h"

namespace sluice::coordinator {

void LegEndings::complete(const SessionPtr& s) {
  if (!s->run.prefill_reported) use_.account.prefill_dropped(*s);
  if (!s->rated())
    return fail(
        s, Error{Errc::unavailable, "the prefill node did not report all of the prompt's log-probabilities", {}}, 1.0);
  learn(*s);
  s->state = SessionState::ended;
  finish(s, s->end.reason == "stop" ? LegEnd::stop : LegEnd::length, s->end.reason);
}

void LegEndings::learn(const Session& s) {
  if (!s.undisturbed() || s.seen.parked_s > 0 || s.run.moved || !s.answer.first_token) return;
  Measured m = s.measured();
  if (const NodeRecord* d = use_.view.find(s.run.decode)) m.seqs = d->seqs + 1.0;  // it was one of them
  use_.placement.finished(s.run.chosen, m, use_.clock.now());
}

void LegEndings::finish(const SessionPtr& s, LegEnd how, std::string_view outcome) {
  const LegStats stats = s->stats();
  record(s, outcome);
  s->sink->on_finish(how, stats);
  s->sink.reset();
  use_.intake.pump(use_.clock.now());
}

void LegEndings::fail(const SessionPtr& s, const Error& e, std::optional<double> retry_after_s) {
  if (s->state == SessionState::ended) return;
  s->state = SessionState::ended;
  s->end.error = e;
  record(s, name(e.code));
  std::optional<Duration> after;
  if (retry_after_s) after = from_seconds(*retry_after_s);
  s->sink->on_error(e, after);
  s->sink.reset();
}

void LegEndings::record(const SessionPtr& s, std::string_view outcome) {
  const TimePoint now = use_.clock.now();
  const std::size_t tokens = s->answer.emitted.size();
  if (tokens > 0) use_.intake.observe_output(static_cast<double>(tokens), outcome == "stop");
  const double e2e = seconds((s->end.finished == TimePoint{} ? now : s->end.finished) - s->asked.spec.received);
  use_.figures.on_end(*s, outcome, e2e);
  use_.roles.ended(*s);
  use_.log.record(*s, outcome, unix_now());
  if (s->trace) s->trace->ended(*s, outcome, now);
  log::info("leg ended", {{"request_id", s->asked.spec.request_id},
                          {"outcome", outcome},
                          {"prefill", s->run.prefill},
                          {"decode", s->run.decode},
                          {"profile", s->shown_profile()},
                          {"prompt_tokens", s->asked.features.prompt_tokens},
                          {"output_tokens", tokens},
                          {"ttft_ms", s->ttft_s().value_or(0) * 1e3},
                          {"e2e_ms", e2e * 1e3}});
  use_.intake.withdraw(s->turn());
  use_.legs.remove(s->id);
}

}  // namespace sluice::coordinator
