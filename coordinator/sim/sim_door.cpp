#include "coordinator/sim/sim_door.h"

#include <algorithm>

#include "coordinator/policy/transfer_offer.h"

namespace sluice::sim {

using namespace coordinator;

SimDoor::SimDoor(Scene& scene, Policy& policy, MemoryBook& book, DecodeSide& decodes)
    : scene_(scene),
      policy_(policy),
      book_(book),
      decodes_(decodes),
      intake_(policy.placement(), *this,
              {.max_wait_s = scene.spec.max_wait_s,
               .max_tpot_s = scene.spec.max_tpot_s,
               .lifetime_s = INFINITY,
               .max_waiting = scene.spec.max_waiting,
               .newcomers = Newcomers::join_the_queue,
               .admission = scene.spec.admission,
               .say_when = false}) {}

void SimDoor::arrive(std::uint32_t row) {
  const SimRequest& q = scene_.load[row];
  Outcome& o = scene_.result.requests[row];
  o.at_s = static_cast<float>(q.at_s);
  o.prompt = q.prompt_tokens;
  if (q.prefix_blocks && scene_.spec.prefix_cache) {
    if (!oracle_) oracle_.emplace(scene_.prefill_blocks, scene_.spec.block_size);
    o.oracle_had = oracle_->arrive(prompt_names(q, q.prompt_tokens - 1, scene_.spec.block_size));
  }
  intake_.arrive({.turn = {scene_.load[row].priority, RequestId(row)}}, at(scene_.now));
}

RequestFeatures SimDoor::features(RequestId id, TimePoint) {
  const SimRequest& q = scene_.load[id.value()];
  const Slo& slo = scene_.spec.slo;
  RequestFeatures r = book_.asks(q, scene_.limit_of(q), 0);
  r.ttft_slo_s = slo.ttft_s;
  r.tpot_slo_s = slo.tpot_s;
  r.waited_s = scene_.now - q.at_s;
  r.quality_budget = slo.quality_kl;
  r.objective = slo.objective;
  r.attainment = slo.attainment;
  return r;
}

const ClusterSnapshot& SimDoor::cluster() {
  decodes_.tell_tokens();
  return scene_.view;
}

const ClusterSnapshot& SimDoor::cluster_for(RequestId id) {
  decodes_.tell_tokens();
  if (scene_.spec.memory == MemoryPolicy::oracle)
    for (std::size_t d = 0; d < scene_.view.decodes.size(); ++d)
      scene_.view.decodes[d].closed = book_.closed(d) || !oracle_has_room(d, scene_.load[id.value()]);
  return scene_.view;
}

/// Who knows where every output ends. When the newcomer will start is not quite known: it fits whether that is now or
/// as long from now as others took.
bool SimDoor::oracle_has_room(std::size_t d, const SimRequest& newcomer) {
  const double step_s = std::max(scene_.view.decodes[d].step_s, 1e-4);
  const auto steps_in = [&](double in_s) {
    return static_cast<std::uint32_t>(std::clamp(std::ceil(in_s / step_s), 0.0, 1e6));
  };
  std::vector<KnownSequence> all;
  const auto held = decodes_.held(d);
  const auto occupants = decodes_.occupants()(d);
  for (std::size_t i = 0; i < held.size(); ++i) {
    const Active& a = scene_.active[held[i]];
    const Occupant& o = occupants[i];
    const auto emitted = static_cast<std::uint32_t>(o.emitted);
    all.push_back({.tokens = scene_.asked(a).prompt_tokens + emitted,
                   .left = a.ends - std::min(emitted, a.ends),
                   .starts_in = steps_in(o.starts_in_s)});
  }
  const DecodeView& v = scene_.view.decodes[d];
  for (const double start_s : {0.0, start_s_}) {
    std::vector<KnownSequence> with = all;
    with.push_back({.tokens = newcomer.prompt_tokens,
                    .left = std::min(newcomer.output_tokens, scene_.limit_of(newcomer)),
                    .starts_in = steps_in(start_s)});
    if (!fit_together(with, v.total_blocks, v.block_size)) return false;
  }
  return true;
}

Placed SimDoor::decide(RequestId id, const ClusterSnapshot& c, RequestFeatures& r, double deadline_s, TimePoint now) {
  if (r.prompt_tokens > longest_prompt_ + 1)
    return Refusal{Error{Errc::invalid_argument, "no prefill node's memory holds the prompt", {}}, 0};
  look(scene_.load[id.value()]);
  if (std::ranges::any_of(hits_.prefill, [](std::uint32_t n) { return n > 0; })) r.hits = &hits_;
  Placed placed = policy_.decide(c, r, deadline_s, now);
  r.hits = nullptr;
  return placed;
}

void SimDoor::look(const SimRequest& q) {
  hits_.prefill.clear();
  if (!q.prefix_blocks || scene_.prefixes.empty()) return;
  if (prefills_.empty())
    for (const PrefillView& p : scene_.view.prefills) prefills_.push_back(p.id);
  scene_.prefixes.match(prompt_names(q, q.prompt_tokens - 1, scene_.spec.block_size), prefills_, blocks_);
  for (const std::uint32_t n : blocks_) hits_.prefill.push_back(n * scene_.spec.block_size);
}

void SimDoor::refuse(RequestId request, Refused why, const Refusal&) {
  const bool early = why == Refused::no_room_soon || why == Refused::too_slow || why == Refused::queue_full;
  if (early) scene_.result.requests[request.value()].rejected = true;
  if (ends_) ends_(0, false);
}

void SimDoor::go(RequestId request, const ClusterSnapshot&, const Decision& d) {
  const auto row = static_cast<std::uint32_t>(request.value());
  const SimRequest& q = scene_.load[row];
  const std::uint32_t id = scene_.active.take();
  Active& a = scene_.active[id];
  const std::uint32_t limit = scene_.limit_of(q);
  a = {.row = row,
       .used = true,
       .k = d.chosen,
       .decided_s = scene_.now,
       .sends = d.chosen.profile,
       .limit = limit,
       .ends = std::min(limit, q.output_tokens)};
  policy_.placement().placed(a.k, at(scene_.now));
  DecodeView& dec = scene_.view.decodes[a.k.decode];
  dec.local_tokens += static_cast<std::uint64_t>(a.k.here_tokens);
  if (!a.k.local) {
    a.planned_bps = planned_link_bps(scene_.view, a.k);
    scene_.view.prefills[a.k.prefill].queued_tokens += a.k.cut - a.k.had;
  }
  a.place = book_.take(a, a.k.decode);
  Outcome& o = scene_.result.requests[row];
  o.profile = static_cast<std::uint16_t>(a.k.profile);
  o.prefill = static_cast<std::uint16_t>(a.k.prefill);
  o.decode = static_cast<std::uint16_t>(a.k.decode);
  o.local = a.k.local;
  o.cut_off = static_cast<std::uint32_t>(a.k.here_tokens);
  o.predicted_ttft_s = static_cast<float>(a.k.predicted_ttft_s + scene_.now - q.at_s);
  o.explored = d.reason == ChoiceReason::explore;
  // Reserve, its answer, prefill; or reserve alone.
  const bool seat = decodes_.expect(id, a.k.decode, a.k.cut, q.prompt_tokens);
  const int messages = !seat ? 2 : a.k.local ? 1 : 3;
  scene_.push(scene_.now + messages * scene_.vary(scene_.spec.message_s, scene_.spec.spread),
              seat ? What::submit : What::no_seat, id);
}

/// Its node had less room than the account says: others wait there for their blocks. It is placed again.
void SimDoor::again(std::uint32_t id) {
  const Active& a = scene_.active[id];
  book_.full(a.k.decode);
  book_.give(a.place, a.k.decode);
  scene_.view.decodes[a.k.decode].local_tokens -= static_cast<std::uint64_t>(a.k.here_tokens);
  policy_.placement().here_abandoned(a.k);
  if (!a.k.local) {
    scene_.view.prefills[a.k.prefill].queued_tokens -= a.k.cut - a.k.had;
    policy_.placement().abandoned(a.k, at(scene_.now));
  }
  const std::uint32_t row = a.row;
  scene_.active.give(id);
  intake_.arrive({.turn = {scene_.load[row].priority, RequestId(row)}}, at(scene_.now));
}

std::optional<WaitingPrompt> SimDoor::first_in_line() const {
  const auto first = intake_.first_in_line();
  if (!first) return std::nullopt;
  const SimRequest& q = scene_.load[first->value()];
  return WaitingPrompt{.tokens = tokens_expected(book_.asks(q, scene_.limit_of(q), 0), book_.grows()),
                       .waited_s = scene_.now - q.at_s};
}

void SimDoor::prefill_done(std::uint32_t id) {
  const Active& a = scene_.active[id];
  scene_.view.prefills[a.k.prefill].queued_tokens -= a.k.cut - a.k.had;
  scene_.result.requests[a.row].had = a.had;
  policy_.placement().prefill_done(a.k, a.m, at(scene_.now));
}

void SimDoor::computed(std::uint32_t id) {
  Active& a = scene_.active[id];
  scene_.view.decodes[a.k.decode].local_tokens -= static_cast<std::uint64_t>(a.k.here_tokens);
  policy_.placement().here_done(a.k, at(scene_.now));
}

void SimDoor::ended(std::uint32_t id) {
  Active& a = scene_.active[id];
  const SimRequest& q = scene_.asked(a);
  const ClusterSpec& spec = scene_.spec;
  intake_.observe_output(a.output, a.output < a.limit);
  Outcome& o = scene_.result.requests[a.row];
  const double first = a.first_s + spec.message_s;
  o.ttft_s = static_cast<float>(first - q.at_s);
  o.e2e_s = static_cast<float>(scene_.now + spec.message_s - q.at_s);
  o.tpot_s = a.output > 1 ? static_cast<float>((scene_.now - a.first_s) / (a.output - 1)) : 0;
  o.met = o.ttft_s <= spec.slo.ttft_s && o.tpot_s <= spec.slo.tpot_s;
  meter(start_s_, a.first_s - a.decided_s);
  if (ends_) ends_(a.output, o.met);
  o.raw_bytes = a.m.raw_bytes;
  if (!a.k.local)
    o.kl = static_cast<float>(std::max(scene_.view.profiles[a.k.profile].kl, scene_.view.profiles[a.sends].kl));
  o.wire_bytes = a.m.wire_bytes;
  a.m.ttft_s = first - a.decided_s;
  a.m.tpot_s = scene_.told(o.tpot_s);
  a.m.output_tokens = a.output;
  a.m.seqs = scene_.view.decodes[a.k.decode].seqs;
  if (!a.moved) policy_.finished(a.k, a.m, o.met, at(scene_.now));  // its figures are of two nodes
  book_.give(a.place, a.k.decode);
  scene_.active.give(id);
  scene_.result.end_s = scene_.now;
  pump();
}

}  // namespace sluice::sim
