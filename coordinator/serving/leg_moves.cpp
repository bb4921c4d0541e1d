// A move on its way: what is planned of it, asked of both nodes, and told by them. Its ends are in leg_move_ends.cpp.
#include "coordinator/serving/leg_moves.h"

#include <algorithm>
#include <chrono>

#include "common/log.h"

namespace sluice::coordinator {
namespace {

/// A move may take this long at least, and so many times what is expected of it.
constexpr std::chrono::seconds kPatience{10};
constexpr double kPatienceTimes = 4;

}  // namespace

std::string_view name(MoveOutcome o) noexcept {
  switch (o) {
    case MoveOutcome::moved:
      return "moved";
    case MoveOutcome::ended:
      return "ended";
    case MoveOutcome::no_room:
      return "no_room";
    case MoveOutcome::too_late:
      return "too_late";
    case MoveOutcome::source_failed:
      return "source_failed";
    case MoveOutcome::target_failed:
      return "target_failed";
    case MoveOutcome::timed_out:
      return "timed_out";
  }
  return "timed_out";
}

Result<> LegMoves::suits(const Session& s, const NodeId& target) const {
  const NodeRecord* to = use_.view.find(target);
  if (to == nullptr) return fail(Errc::not_found, "node '{}' is not registered", target);
  if (to->info.role != control::Role::decode) return fail_param("node", "'{}' is no decode node", target);
  if (!to->info.moves)
    return fail(Errc::unsupported, "'{}' is of a version that does not take running requests", target);
  if (!to->usable())
    return fail(Errc::unavailable, "'{}' takes no requests now: it {}", target,
                to->draining ? "drains" : "stands still");
  const NodeBits bits = bits_of(to->info);
  if (bits != s.answer.decode_bits)
    return fail_param("node", "'{}' computes with other bits than the answer was begun with: {}", target,
                      difference(s.answer.decode_bits, bits));
  if (s.asked.bound() && !to->info.grammars)
    return fail(Errc::unsupported, "'{}' does not keep answers to a grammar", target);
  const NodeRecord* from = use_.view.find(s.run.decode);
  if (from == nullptr || !from->info.moves)
    return fail(Errc::unsupported, "'{}', where it runs, is of a version that does not give running requests away",
                s.run.decode);
  return {};
}

Result<> LegMoves::ready(const Session& s) {
  if (s.moves.now) return fail(Errc::already_exists, "it moves already, to '{}'", s.moves.now->target);
  if (s.state != SessionState::decoding || s.answer.emitted.empty())
    return fail(Errc::unavailable, "it does not decode yet, or not any more: it is {}", name(s.state));
  if (!s.run.prefill_reported || !s.rated())
    return fail(Errc::unavailable, "its prefill node has not reported yet; try again");
  return {};
}

void LegMoves::start(const SessionPtr& s, const NodeId& target, MoveReason why, Done done) {
  const auto refused = [&](const Error& e) {
    if (done) done(std::unexpected(e));
  };
  if (const auto may = ready(*s); !may) return refused(may.error());
  if (s->run.decode == target) return refused({Errc::already_exists, "it runs there already", "node"});
  if (const auto may = suits(*s, target); !may) return refused(may.error());
  const DecodeView& to = use_.view.snapshot().decodes[use_.view.find(target)->index];
  const RequestFeatures asks = use_.account.asks(*s);
  if (room_on(to, asks) != Room::now)
    return refused(
        {Errc::resource_exhausted,
         fmt::format("'{}' has no room for it: {} KV blocks needed, {} of {} are free, {:.0f} are expected to "
                     "be held, and it runs {} of {} sequences",
                     target, blocks_at_start(to, asks), to.free_blocks, to.total_blocks,
                     to.grows ? to.memory.peak() : 1.0 * (to.total_blocks - to.free_blocks), to.seqs, to.max_seqs),
         {}});
  Moving& m = s->moves.now.emplace();
  m.reason = why;
  m.target = target;
  m.began = use_.clock.now();
  m.attempt = ++s->run.given;
  if (const auto planned = plan(*s); !planned) {
    s->moves.now.reset();
    return refused(planned.error());
  }
  m.done = std::move(done);
  s->moves.last_try = m.began;
  if (why != MoveReason::drain) ++s->moves.tries;
  moving_.push_back(s->id);
  use_.account.take_target(*s);
  reserve(s);
}

/// Where the source is to stop, and how long all of it may take.
Result<> LegMoves::plan(Session& s) {
  Moving& m = *s.moves.now;
  const auto positions = static_cast<std::uint32_t>(s.asked.features.prompt_tokens + s.answer.emitted.size() - 1);
  const Way w = way(s.run.decode, m.target, positions);
  const std::uint32_t most = s.asked.features.prompt_tokens + s.asked.features.max_new_tokens;
  m.stop = times_.stop({.positions = positions,
                        .copy_s = w.copy_s,
                        .step_s = step_s(s),
                        .last = std::max(most, 2U) - 2,
                        .again = m.again});
  if (m.stop == 0) return fail(Errc::unavailable, "its answer ends sooner than it could be moved");
  m.profile = w.profile;
  m.wire_bytes = w.wire_bytes;
  m.told = s.answer.emitted.size();
  const double expected = (m.stop - positions) * step_s(s) + w.copy_s;
  m.deadline = m.began + std::max<Duration>(kPatience, from_seconds(kPatienceTimes * expected));
  return {};
}

/// A token of its source: what the node says of its steps now, else what the leg's took.
double LegMoves::step_s(const Session& s) const {
  const NodeRecord* n = use_.view.find(s.run.decode);
  return n != nullptr && n->last.step_s > 0 ? n->last.step_s : s.tpot_s().value_or(0);
}

/// The source's own figure of its link, else the best of those that send to the target.
double LegMoves::told_bps(const NodeId& from, const NodeId& to) {
  const NodeRecord* source = use_.view.find(from);
  const NodeRecord* target = use_.view.find(to);
  if (source == nullptr || target == nullptr) return 0;
  const auto own = std::ranges::find(source->last.links, target->info.data_address, &control::LinkReport::address);
  if (own != source->last.links.end() && own->bandwidth_bps > 0) return own->bandwidth_bps;
  const ClusterSnapshot& c = use_.view.snapshot();
  double best = 0;
  for (std::size_t p = 0; p < c.prefills.size(); ++p) best = std::max(best, c.link(p, target->index).bandwidth_bps);
  return best;
}

/// The lossless profile under which the copy is there first; what others copy from the same source goes before it.
LegMoves::Way LegMoves::way(const NodeId& from, const NodeId& to, double positions) {
  const ClusterSnapshot& c = use_.view.snapshot();
  const NodeRecord* source = use_.view.find(from);
  const NodeRecord* target = use_.view.find(to);
  double before = 0;
  for (const SessionPtr& s : moving())
    if (s->run.decode == from && s->moves.now->step != MoveStep::handing_over) before += s->moves.now->wire_bytes;
  const double raw = positions * static_cast<double>(c.kv_bytes_per_token);
  const TimePoint now = use_.clock.now();
  Way best;
  for (std::size_t f = 0; f < c.profiles.size(); ++f) {
    if (c.profiles[f].stated_kl > 0) continue;
    const auto speed = [&](const NodeRecord* n, double ProfileSpeed::* of) {
      const double v = n == nullptr ? 0 : n->speeds[f].*of;
      return v > 0 ? v : kDefaultCodecBps;
    };
    const double wire = raw / (source == nullptr ? 1.0 : std::max(source->speeds[f].ratio, 1.0));
    const double link = times_.copy_s({from, to}, before + wire, told_bps(from, to), now);
    const double takes = std::max(
        {raw / speed(source, &ProfileSpeed::encode_bps), link, raw / speed(target, &ProfileSpeed::decode_bps)});
    if (!best.profile.empty() && takes >= best.copy_s) continue;
    best = {c.profiles[f].name, wire, takes};
  }
  return best;
}

double LegMoves::copy_s(const NodeId& from, const NodeId& to, double positions) {
  return times_.setup_s() + way(from, to, positions).copy_s;
}

void LegMoves::reserve(const SessionPtr& s) {
  use_.calls.reserve_target(*s, [this, s, attempt = s->moves.now->attempt](Result<control::ReserveReply> reply) {
    if (!is(*s, attempt)) return;
    const bool no_room = !reply && reply.error().code == Errc::resource_exhausted;
    if (no_room) use_.view.was_full(s->moves.now->target);
    if (!reply) return stay(s, no_room ? MoveOutcome::no_room : MoveOutcome::target_failed, reply.error());
    copy(s, std::move(*reply));
  });
}

void LegMoves::copy(const SessionPtr& s, control::ReserveReply ticket) {
  s->moves.now->step = MoveStep::copying;
  use_.calls.move(*s, std::move(ticket),
                  [this, s, attempt = s->moves.now->attempt](const Result<control::MoveReply>& reply) {
                    if (!is(*s, attempt)) return;
                    Moving& m = *s->moves.now;
                    if (reply) {
                      m.accepted = true;
                      return times_.observe_setup(seconds(use_.clock.now() - m.began));
                    }
                    const Errc why = reply.error().code;
                    // Where it says no it does nothing of it; where nobody knows it must be told.
                    if (why != Errc::deadline_exceeded && why != Errc::unavailable) m.step = MoveStep::reserving;
                    if (why == Errc::stale && !m.again) return retry(s);
                    stay(s, why == Errc::stale ? MoveOutcome::too_late : MoveOutcome::source_failed, reply.error());
                  });
}

/// The sequence was beyond the stop when the source heard of it: once more, with more time ahead.
void LegMoves::retry(const SessionPtr& s) {
  Moving& m = *s->moves.now;
  use_.calls.cancel(m.target, s->id);
  m.again = true;
  m.attempt = ++s->run.given;
  if (const auto planned = plan(*s); !planned) return stay(s, MoveOutcome::too_late, planned.error());
  reserve(s);
}

void LegMoves::on_halted(const NodeId& node, const control::Halted& h) {
  const SessionPtr s = use_.legs.find(h.request);
  if (!s || s->run.decode != node || !s->placed() || !s->reports_now(h.attempt)) return;
  if (!s->moves.now) {  // it was called off meanwhile: without this the source would wait for ever
    return call_off(s);
  }
  Moving& m = *s->moves.now;
  if (m.step != MoveStep::copying || !m.accepted) return;  // of an earlier move, which was called off
  const std::size_t tokens = s->asked.features.prompt_tokens + s->answer.emitted.size();
  if (h.tokens != tokens || h.tokens != m.stop + 1)
    return use_.placer.again(
        s, Error{Errc::data_corrupt,
                 fmt::format("the source halted with {} tokens; {} came of it, and it was to stop with {}", h.tokens,
                             tokens, m.stop + 1),
                 {}});
  m.step = MoveStep::handing_over;
  m.heard.halted = use_.clock.now();
  use_.calls.go_on(*s, [this, s, attempt = m.attempt](const Result<>& reply) {
    if (is(*s, attempt) && !reply) stay(s, MoveOutcome::target_failed, reply.error());
  });
}

bool LegMoves::admits(const SessionPtr& s, const NodeId& node, std::uint32_t index) {
  MoveHistory& h = s->moves;
  if (h.now) {
    const bool halted = h.now->step == MoveStep::handing_over;
    if (node != (halted ? h.now->target : s->run.decode)) return false;  // one node at a time
    if (!halted) return true;
    if (index < s->answer.emitted.size()) return false;
    if (index > s->answer.emitted.size()) {
      stay(s, MoveOutcome::target_failed, {Errc::data_corrupt, "the target left a token out", {}});
      return false;
    }
    switch_over(s, true);
    return true;
  }
  if (node != s->run.decode) return false;
  if (h.first_awaited) measure(*s);
  return true;
}

/// The target's first token is here.
void LegMoves::measure(Session& s) const {
  MoveRecord& r = s.moves.over.back();
  s.moves.first_awaited = false;
  const double gap = seconds(use_.clock.now() - s.answer.last_token);
  r.stall_s = std::max(0.0, gap - s.tpot_s().value_or(0));
  const TimePoint halted = std::max(r.heard.halted, s.answer.last_token);
  r.parts.halt_s = seconds(halted - s.answer.last_token);
  r.parts.kv_s = std::max(0.0, seconds(r.heard.arrived - halted));
  r.parts.first_s = gap - r.parts.halt_s - r.parts.kv_s;
  use_.figures.on_first_token(s, r);
}

bool LegMoves::on_kv_ready(const SessionPtr& s, const NodeId& node) {
  if (!s->moves.now || s->moves.now->target != node) return s->run.moved;  // late of one that has gone on
  s->moves.now->arrived = true;
  s->moves.now->heard.arrived = use_.clock.now();
  return true;
}

/// Reports of copies teach how fast pairs are, and may come when the target has begun.
void LegMoves::on_moved(const NodeId& node, const control::Moved& m) {
  const SessionPtr s = use_.legs.find(m.request);
  if (!s) return;
  NodeId target;
  if (s->moves.now && s->run.decode == node && s->reports_now(m.attempt)) {
    if (m.error && s->moves.now->accepted) return stay(s, MoveOutcome::target_failed, *m.error);
    target = s->moves.now->target;
    s->moves.now->last_block_s = m.exposed_s;
  } else {
    const auto over = std::ranges::find_if(
        s->moves.over, [&](const MoveRecord& r) { return r.from == node && r.source_attempt == m.attempt; });
    if (over == s->moves.over.end()) return;
    if (!m.error) over->last_block_s = m.exposed_s;
    target = over->to;
  }
  if (m.error) return;
  times_.observe({node, target},
                 {.wire_bytes = static_cast<double>(m.wire_bytes),
                  .wall_s = m.wall_s,
                  .exposed_s = m.exposed_s,
                  .step_s = s->tpot_s().value_or(0)},
                 use_.clock.now());
}

std::vector<SessionPtr> LegMoves::moving() const {
  std::vector<SessionPtr> out;
  for (const RequestId id : moving_)
    if (SessionPtr s = use_.legs.find(id); s && s->moves.now) out.push_back(std::move(s));
  return out;
}

}  // namespace sluice::coordinator
