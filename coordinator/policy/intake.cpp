#include "coordinator/policy/intake.h"

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {
namespace {

constexpr double kRetryS = 1;  // when nothing is known

Refusal lateness(bool awaits_node, bool begun) {
  if (awaits_node && !begun)
    return {{Errc::unavailable, "the node that had this request was lost, and no other came in time; retry later", {}},
            kRetryS};
  if (awaits_node)
    return {{Errc::unavailable, "no node came back that continues this answer as it was begun; start it again", {}},
            kRetryS};
  return {{Errc::resource_exhausted, "no decode node had room in time; retry later", {}}, kRetryS};
}

}  // namespace

double Intake::deadline_s(const Applicant& a) const {
  return a.begun ? options_.lifetime_s : a.came_back_s + a.ttft_s.value_or(options_.max_wait_s);
}

bool Intake::late(const Applicant& a, double waited_s) const {
  return waited_s > deadline_s(a) || waited_s > options_.lifetime_s;
}

std::optional<RequestId> Intake::first_in_line() const {
  const auto it = std::ranges::find_if(queue_, [](const auto& w) { return !w.second.awaits_node; });
  return it == queue_.end() ? std::nullopt : std::optional(it->first.id);
}

bool Intake::awaits_node(const Turn& t) const {
  const auto it = queue_.find(t);
  return it != queue_.end() && it->second.awaits_node;
}

bool Intake::must_queue(const Turn& t) const {
  if (options_.newcomers == Newcomers::try_at_once) return false;
  for (auto it = queue_.begin(); it != queue_.end() && it->first < t; ++it)
    if (!it->second.awaits_node) return true;
  return false;
}

void Intake::add(Ahead& a, const Waiter& w, const Unit& in, double times) {
  a.blocks += times * std::ceil(tokens_expected(w.needs, in.grows) / in.block_size);
  a.limits += times * w.needs.max_new_tokens;
  a.seqs += times;
}

void Intake::count(const Waiter& w, double times) { add(all_, w, counted_in_, times); }

void Intake::put_in(const Waiter& w) {
  if (queue_.emplace(w.asks.turn, w).second) count(w, 1);
}

void Intake::take_out(const Turn& t) {
  const auto it = queue_.find(t);
  if (it == queue_.end()) return;
  count(it->second, -1);
  queue_.erase(it);
}

void Intake::refuse(const Waiter& w, const No& no) {
  take_out(w.asks.turn);
  host_.refuse(w.asks.turn.id, no.why, no.refusal);
}

Ahead Intake::ahead_of(const Turn& t, const Unit& in) {
  if (in != counted_in_) {
    counted_in_ = in;
    all_ = {};
    for (const auto& [turn, w] : queue_) count(w, 1);
  }
  if (!queue_.empty() && queue_.rbegin()->first < t) return all_;
  Ahead out;
  for (auto it = queue_.begin(); it != queue_.end() && it->first < t; ++it) add(out, it->second, in, 1);
  return out;
}

/// A choice that will be too slow for what the request states is not taken up, since its prefill would be for nothing.
std::optional<Refusal> Intake::too_slow(const Applicant& a, const ClusterSnapshot& c, const RequestFeatures& r,
                                        Decision& d, TimePoint now) {
  const double limit = a.tpot_s.value_or(options_.max_tpot_s);
  // A trial has been found good for it already, and who has begun is not stopped.
  if (limit <= 0 || a.resumed || d.trial || !options_.admission) return std::nullopt;
  const Candidate before = d.chosen;
  auto refusal = admission_.check_speed(c, r, d, host_.occupants(now), limit, now);
  // Neither the cheapest nor explored any more.
  if (d.chosen.prefill != before.prefill || d.chosen.decode != before.decode || d.chosen.profile != before.profile ||
      d.chosen.cut != before.cut)
    d.reason = ChoiceReason::best;
  return refusal;
}

/// Whether the request left, with a place or without; else it has to wait.
bool Intake::attempt(Waiter& w, TimePoint now) {
  const Applicant& a = w.asks;
  w.awaits_node = false;
  const ClusterSnapshot& c = host_.cluster_for(a.turn.id);
  RequestFeatures r = host_.features(a.turn.id, now);
  Placed placed = host_.decide(a.turn.id, c, r, deadline_s(a), now);
  if (std::holds_alternative<Wait>(placed)) return false;
  if (const auto* refusal = std::get_if<Refusal>(&placed)) {
    // In mid-answer it waits for a node to come back rather than lose what its client already read.
    w.awaits_node = a.resumed && refusal->error.code == Errc::unavailable;
    if (!w.awaits_node) refuse(w, {Refused::by_placement, *refusal});
    return !w.awaits_node;
  }
  auto& d = std::get<Decision>(placed);
  if (const auto slow = too_slow(a, c, r, d, now)) {
    refuse(w, {Refused::too_slow, *slow});
    return true;
  }
  take_out(a.turn);
  host_.go(a.turn.id, c, d);
  return true;
}

/// Nothing has room for it now. Who is expected to get some in time waits; the others hear when to come again.
std::optional<Intake::No> Intake::why_not_wait(const Waiter& w, bool newcomer, TimePoint now) {
  if (!options_.admission) return std::nullopt;
  const bool full = newcomer && queue_.size() >= options_.max_waiting;
  const auto too_many = [&](double retry_after_s) {
    return No{Refused::queue_full,
              {{Errc::resource_exhausted, fmt::format("{} requests wait already; retry later", queue_.size()), {}},
               retry_after_s}};
  };
  if (full && !options_.say_when) return too_many(kRetryS);
  const auto no_room_by = [&](double deadline_s) {
    const ClusterSnapshot& c = host_.cluster();
    const Unit in = c.decodes.empty() ? counted_in_ : Unit{std::max(c.decodes.front().block_size, 1U), all_grow(c)};
    return admission_.check_wait(c, host_.features(w.asks.turn.id, now), host_.occupants(now),
                                 ahead_of(w.asks.turn, in), deadline_s, now);
  };
  if (!w.asks.resumed)
    if (const auto no = no_room_by(deadline_s(w.asks))) return No{Refused::no_room_soon, *no};
  if (!full) return std::nullopt;
  const auto own_turn = no_room_by(0);
  return too_many(own_turn ? own_turn->retry_after_s : kRetryS);
}

void Intake::arrive(const Applicant& a, TimePoint now) {
  Waiter w{.asks = a};
  if (!must_queue(a.turn) && attempt(w, now)) return;
  if (const auto no = why_not_wait(w, true, now)) return refuse(w, *no);
  w.needs = host_.features(a.turn.id, now);
  put_in(w);
}

void Intake::pump(TimePoint now) {
  for (auto it = queue_.begin(); it != queue_.end();) {
    Waiter w = it->second;  // a copy: its entry goes before the host hears of it
    const Turn turn = w.asks.turn;
    if (late(w.asks, host_.features(turn.id, now).waited_s)) {
      refuse(w, {Refused::waited_in_vain, lateness(w.awaits_node, w.asks.begun)});
    } else if (!attempt(w, now)) {
      if (const auto no = why_not_wait(w, false, now)) {
        refuse(w, *no);
      } else {
        it->second.awaits_node = w.awaits_node;
        if (!w.awaits_node) return;
      }
    }
    it = queue_.upper_bound(turn);
  }
}

void Intake::expire(TimePoint now) {
  for (auto it = queue_.begin(); it != queue_.end();) {
    const Waiter w = it->second;
    if (late(w.asks, host_.features(w.asks.turn.id, now).waited_s))
      refuse(w, {Refused::waited_in_vain, lateness(w.awaits_node, w.asks.begun)});
    it = queue_.upper_bound(w.asks.turn);
  }
}

}  // namespace sluice::coordinator
