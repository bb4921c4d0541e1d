#include "coordinator/serving/leg_placer.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "common/log.h"
#include "coordinator/serving/leg_moves.h"

namespace sluice::coordinator {
namespace {

/// A node that has no room although it should is about to let go of what others gave back.
constexpr std::chrono::milliseconds kRoomComes{25};

/// Errors of a node that another placement may heal.
bool worth_another_try(Errc c) {
  return c == Errc::unavailable || c == Errc::resource_exhausted || c == Errc::deadline_exceeded || c == Errc::stale ||
         c == Errc::data_corrupt || c == Errc::already_exists;
}

std::optional<double> in_seconds(const std::optional<Duration>& d) {
  return d ? std::optional(seconds(*d)) : std::nullopt;
}

}  // namespace

Applicant LegPlacer::applicant(const Session& s) const {
  return {.turn = s.turn(),
          .ttft_s = in_seconds(s.asked.spec.slo_ttft),
          .tpot_s = in_seconds(s.asked.spec.slo_tpot),
          .resumed = !s.undisturbed(),
          .begun = !s.answer.emitted.empty(),
          .came_back_s = s.run.came_back_s};
}

void LegPlacer::place(const SessionPtr& s) {
  s->state = SessionState::waiting;
  use_.intake.arrive(applicant(*s), use_.clock.now());
}

/// Who set no max_tokens is not refused for what no node can hold: the answer takes what the largest one can. Nodes
/// come and go while it waits. What its client has read stays.
void LegPlacer::shorten(Session& s, std::uint64_t largest) {
  RequestFeatures& f = s.asked.features;
  const std::uint64_t least = std::max<std::uint64_t>(s.answer.emitted.size() + 1,
                                                      static_cast<std::uint64_t>(s.asked.spec.sampling.min_tokens));
  if (largest < f.prompt_tokens + least) return;
  f.max_new_tokens = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(static_cast<std::uint64_t>(s.asked.spec.sampling.max_tokens), largest - f.prompt_tokens));
}

RequestFeatures LegPlacer::features(RequestId id, TimePoint now) {
  const SessionPtr s = use_.legs.find(id);
  if (s->trace) s->trace->deciding(use_.clock.now());
  if (s->asked.spec.open_ended) shorten(*s, largest_context(cluster_for(id)));
  RequestFeatures f = s->asks_now(use_.intake.lengths());
  f.waited_s = seconds(now - s->asked.spec.received);
  // Tokens already sent bind it to the cut and the profile that they were computed with.
  if (!s->answer.emitted.empty()) {
    f.cut = s->run.cut;
    f.cut_anywhere = s->run.kl == 0;
    if (!s->run.local) f.profile = s->run.profile;
  } else if (!f.cut && !use_.local_prefill) {
    f.cut = f.split_cut();
  }
  return f;
}

const ClusterSnapshot& LegPlacer::cluster_for(RequestId id) {
  const SessionPtr s = use_.legs.find(id);
  const Answer& a = s->answer;
  const bool bound = s->asked.bound();
  if (a.emitted.empty()) return bound ? use_.view.snapshot_bound() : use_.view.snapshot();
  // And to nodes with their bits.
  return use_.view.snapshot_like(a.prefill_bits, a.decode_bits, s->run.kl == 0, bound);
}

Placed LegPlacer::decide(RequestId id, const ClusterSnapshot& c, RequestFeatures& r, double deadline_s, TimePoint now) {
  const SessionPtr s = use_.legs.find(id);
  use_.prefixes.look(*s, use_.view, c, hits_);
  if (std::ranges::any_of(hits_.prefill, [](std::uint32_t n) { return n > 0; })) r.hits = &hits_;
  Placed placed = use_.placement.decide(c, r, deadline_s, now);
  auto* d = std::get_if<Decision>(&placed);
  if (d != nullptr && s->undisturbed()) use_.quality.try_left_profile(c, r, deadline_s, *d, now);
  r.hits = nullptr;  // who keeps `r` outlives what it says
  return placed;
}

/// Those whom a forecast refuses hear of it before anything was computed for them.
void LegPlacer::refuse(RequestId id, Refused why, const Refusal& r) {
  use_.figures.on_refused(why, name(r.error.code));
  use_.endings.fail(use_.legs.find(id), r.error, r.retry_after_s > 0 ? std::optional(r.retry_after_s) : std::nullopt);
}

void LegPlacer::go(RequestId id, const ClusterSnapshot& c, const Decision& d) {
  const SessionPtr s = use_.legs.find(id);
  Attempt& a = s->run;
  a.decided = use_.clock.now();
  s->asked.features.waited_s = seconds(a.decided - s->asked.spec.received);
  a.number = ++a.given;
  a.moved = false;
  const DecodeView& decode = c.decodes[d.chosen.decode];
  a.decode = decode.id;
  a.reason = d.trial ? ChoiceReason::explore : d.reason;
  a.considered = d.considered;
  a.trial = d.trial;
  a.rated = 0;
  fill(*s, c, d);
  remember_bits(*s);
  if (s->trace) s->trace->decided(*s, use_.clock.now());
  use_.account.take(*s);
  use_.figures.on_decision(*s);
  reserve(s);
}

void LegPlacer::fill(Session& s, const ClusterSnapshot& c, const Decision& d) {
  Attempt& a = s.run;
  const Candidate& k = d.chosen;
  a.chosen = k;
  a.local = k.local;
  a.cut = k.cut;
  a.predicted_ttft_s = k.predicted_ttft_s;
  a.predicted_tpot_s = k.predicted_tpot_s;
  a.kl = k.kl;
  a.ways.clear();
  a.prefill = k.local ? NodeId() : c.prefills[k.prefill].id;
  a.profile = k.local ? std::string() : c.profiles[k.profile].name;
  a.probed = s.split() && s.undisturbed() && (a.trial || use_.quality.wants_probe(a.profile));
  if (!k.local) use_.changes.offer(s, c);
}

void LegPlacer::remember_bits(Session& s) const {
  if (!s.answer.emitted.empty()) return;  // the same as those that began it
  s.answer.prefill_bits = {};
  if (const NodeRecord* p = use_.view.find(s.run.prefill)) s.answer.prefill_bits = bits_of(p->info);
  if (const NodeRecord* d = use_.view.find(s.run.decode)) s.answer.decode_bits = bits_of(d->info);
  if (const control::ModelIdentity* m = use_.view.model()) s.answer.model = {m->hash, m->kv_dtype, m->codec_hash};
}

void LegPlacer::reserve(const SessionPtr& s) {
  s->state = SessionState::reserving;
  use_.calls.reserve(*s, [this, s, attempt = s->run.number](Result<control::ReserveReply> reply) {
    if (s->run.number != attempt || s->state != SessionState::reserving) return;
    if (!reply) {
      if (reply.error().code == Errc::resource_exhausted) use_.view.was_full(s->run.decode);
      return again(s, reply.error());
    }
    if (s->trace) s->trace->reserved(*s, use_.clock.now());
    if (s->run.local)
      s->state = SessionState::decoding;
    else
      prefill(s, std::move(*reply));
  });
}

void LegPlacer::prefill(const SessionPtr& s, control::ReserveReply ticket) {
  s->state = SessionState::prefilling;
  use_.calls.prefill(*s, std::move(ticket), [this, s, attempt = s->run.number](const Result<>& accepted) {
    if (s->run.number == attempt && s->state == SessionState::prefilling && !accepted) again(s, accepted.error());
  });
}

void LegPlacer::undo(const SessionPtr& s) {
  if (!s->placed() && s->state != SessionState::reporting) return;
  if (!s->run.prefill_reported) {
    use_.account.prefill_dropped(*s);
    use_.calls.cancel(s->run.prefill, s->id);
  }
  use_.account.local_dropped(*s);
  if (s->placed()) undo_decode(s);
}

void LegPlacer::wait_for_rating(const SessionPtr& s) {
  undo_decode(s);
  s->end = {.reason = "stop", .finished = use_.clock.now(), .error = {}};
  s->state = SessionState::reporting;
}

void LegPlacer::undo_decode(const SessionPtr& s) {
  use_.moves.drop(s, MoveOutcome::ended);
  let_go(s->run.decode, s->id, s->run.place);
}

void LegPlacer::let_go(const NodeId& decode, RequestId id, const DecodePlace& place) {
  // Counted as held until the node says that it let go: who is placed there sooner would be refused.
  use_.calls.cancel(decode, id, [this, release = use_.account.release_later(decode, place)] {
    release();
    boost::asio::post(use_.io, [this] { use_.intake.pump(use_.clock.now()); });
  });
}

void LegPlacer::again(const SessionPtr& s, const Error& why) {
  log_failure(*s, why);
  use_.moves.drop(s, MoveOutcome::source_failed);
  undo(s);
  if (s->trace) s->trace->failed(*s, why, use_.clock.now());
  s->state = SessionState::waiting;
  if (why.code == Errc::resource_exhausted) return place_later(s, why);
  if (!s->run.moved) use_.placement.failed(s->run.chosen, use_.clock.now());
  if (!worth_another_try(why.code) || s->answer.resumes >= kMaxResumes) return use_.endings.fail(s, why, 1.0);
  ++s->answer.resumes;
  use_.figures.on_resume();
  s->run.came_back_s = seconds(use_.clock.now() - s->asked.spec.received);
  boost::asio::post(use_.io, [this, s] {
    if (s->state == SessionState::waiting) place(s);
  });
}

void LegPlacer::log_failure(const Session& s, const Error& why) {
  if (why.code != Errc::resource_exhausted)
    return log::warn("placement failed", {{"request_id", s.asked.spec.request_id},
                                          {"prefill", s.run.prefill},
                                          {"decode", s.run.decode},
                                          {"code", name(why.code)},
                                          {"why", why.message}});
  // Nothing is wrong, and when many clients leave at once it is many legs' lot.
  if (const auto held = full_.pass(0, use_.clock.now()))
    log::info("a node had no room yet, the leg waits", {{"request_id", s.asked.spec.request_id},
                                                        {"decode", s.run.decode},
                                                        {"why", why.message},
                                                        {"held_back", *held}});
}

void LegPlacer::elsewhere(const SessionPtr& s) {
  undo(s);
  s->state = SessionState::waiting;
  boost::asio::post(use_.io, [this, s] {
    if (s->state == SessionState::waiting) place(s);
  });
}

/// As after a failure, but nothing failed.
void LegPlacer::preempted(const SessionPtr& s) {
  if (s->answer.returns >= kMostReturns)
    return again(s, Error{Errc::unavailable, "its decode nodes had no room for it, time and again", {}});
  ++s->answer.returns;
  s->run.came_back_s = seconds(use_.clock.now() - s->asked.spec.received);
  elsewhere(s);
}

void LegPlacer::place_later(const SessionPtr& s, const Error& why) {
  const auto timer = std::make_shared<boost::asio::steady_timer>(use_.io, kRoomComes);
  timer->async_wait([this, s, why, timer](boost::system::error_code ec) {
    if (ec || s->state != SessionState::waiting) return;
    const double waited_s = seconds(use_.clock.now() - s->asked.spec.received);
    if (use_.intake.late(applicant(*s), waited_s)) return use_.endings.fail(s, why, 1.0);
    place(s);
  });
}

}  // namespace sluice::coordinator
