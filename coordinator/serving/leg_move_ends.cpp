// How a move ends: the target has the leg, or it stays, or the leg itself is over.
#include <algorithm>

#include "common/log.h"
#include "coordinator/serving/leg_moves.h"

namespace sluice::coordinator {

Moving LegMoves::end(const SessionPtr& s, MoveOutcome how, const Result<>& said) {
  Moving m = std::move(*s->moves.now);
  s->moves.now.reset();
  std::erase(moving_, s->id);
  use_.figures.on_end(m.reason, how);
  const double took = seconds(use_.clock.now() - m.began);
  log::info("move ended", {{"request_id", s->asked.spec.request_id},
                           {"from", s->run.decode},
                           {"to", m.target},
                           {"reason", name(m.reason)},
                           {"outcome", name(how)},
                           {"why", said ? "" : said.error().message},
                           {"took_ms", took * 1e3}});
  if (s->trace) s->trace->moved(*s, m, how, use_.clock.now());
  return m;
}

void LegMoves::switch_over(const SessionPtr& s, bool begun) {
  const NodeId source = s->run.decode;
  const DecodePlace held = s->run.place;
  const std::uint32_t source_attempt = s->run.number;
  const Moving m = end(s, MoveOutcome::moved, {});
  s->run.decode = m.target;
  s->run.place = m.place;
  s->run.number = m.attempt;
  s->run.moved = true;
  s->moves.over.push_back({.from = source,
                           .to = m.target,
                           .reason = m.reason,
                           .source_attempt = source_attempt,
                           .stall_s = 0,
                           .parts = {},
                           .last_block_s = m.last_block_s,
                           .heard = m.heard,
                           .wall_s = seconds(use_.clock.now() - m.began),
                           .tokens = s->answer.emitted.size()});
  s->moves.first_awaited = true;
  if (begun) measure(*s);
  use_.placer.let_go(source, s->id, held);
  if (m.done) m.done({});
}

void LegMoves::stay(const SessionPtr& s, MoveOutcome how, const Error& why) {
  const bool told = s->moves.now->step != MoveStep::reserving;
  const Moving m = end(s, how, std::unexpected(why));
  use_.placer.let_go(m.target, s->id, m.place);
  if (told) call_off(s);
  if (m.done) m.done(std::unexpected(why));
}

/// The source may have halted: without its yes the stream would wait for ever.
void LegMoves::call_off(const SessionPtr& s) {
  use_.calls.stay(*s, [this, s, attempt = s->run.number](const Result<>& reply) {
    if (reply || s->run.number != attempt || s->state != SessionState::decoding) return;
    use_.placer.again(s, Error{Errc::unavailable, "its node does not go on: " + reply.error().message, {}});
  });
}

void LegMoves::drop(const SessionPtr& s, MoveOutcome how) {
  s->moves.first_awaited = false;
  if (!s->moves.now) return;
  const Error why{Errc::unavailable, how == MoveOutcome::ended ? "its answer ended first" : "its node failed", {}};
  const Moving m = end(s, how, std::unexpected(why));
  use_.placer.let_go(m.target, s->id, m.place);
  if (m.done) m.done(std::unexpected(why));
}

bool LegMoves::on_finished(const SessionPtr& s, const NodeId& node, const control::Finished& f) {
  if (!s->moves.now) return false;
  const Moving& m = *s->moves.now;
  if (node == m.target) {
    // Its tokens would have come before a good end.
    if (f.attempt == m.attempt && f.reason != "cancelled")
      stay(s, MoveOutcome::target_failed,
           f.error.value_or(Error{Errc::data_corrupt, "the target ended it without a token", {}}));
    return true;
  }
  if (node != s->run.decode || !s->reports_now(f.attempt)) return true;
  if (m.step != MoveStep::handing_over) {
    if (!f.error && f.reason != "cancelled") drop(s, MoveOutcome::ended);
    return false;
  }
  // It has halted, and makes nothing more. If it fails now, what counts is whether the target has everything.
  if (f.error && m.arrived) {
    switch_over(s, false);
    return true;
  }
  return !f.error;
}

void LegMoves::on_node_lost(const NodeId& node) {
  for (const SessionPtr& s : moving()) {
    const Moving& m = *s->moves.now;
    if (m.target == node)
      stay(s, MoveOutcome::target_failed, {Errc::unavailable, fmt::format("node '{}' was lost", node), {}});
    else if (s->run.decode == node && m.step == MoveStep::handing_over && m.arrived)
      switch_over(s, false);
  }
  times_.forget(node);
}

void LegMoves::sweep() {
  const TimePoint now = use_.clock.now();
  for (const SessionPtr& s : moving())
    if (now > s->moves.now->deadline)
      stay(s, MoveOutcome::timed_out, {Errc::deadline_exceeded, "the move took too long", {}});
}

}  // namespace sluice::coordinator
