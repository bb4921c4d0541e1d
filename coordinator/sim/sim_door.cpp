#include "coordinator/sim/sim_door.h"

#include "coordinator/policy/transfer_offer.h"

namespace sluice::sim {

using namespace coordinator;

SimDoor::SimDoor(Scene& scene, Policy& policy, DecodeSide& decodes)
    : scene_(scene),
      policy_(policy),
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
  scene_.result.requests[row].at_s = static_cast<float>(scene_.load[row].at_s);
  intake_.arrive({.turn = {scene_.load[row].priority, RequestId(row)}}, at(scene_.now));
}

RequestFeatures SimDoor::features(RequestId id, TimePoint) {
  const SimRequest& q = scene_.load[id.value()];
  const Slo& slo = scene_.spec.slo;
  return {.prompt_tokens = q.prompt_tokens,
          .max_new_tokens = q.output_tokens,
          .ttft_slo_s = slo.ttft_s,
          .tpot_slo_s = slo.tpot_s,
          .waited_s = scene_.now - q.at_s,
          .quality_budget = slo.quality_kl,
          .objective = slo.objective,
          .attainment = slo.attainment};
}

Placed SimDoor::decide(RequestId, const ClusterSnapshot& c, RequestFeatures& r, double deadline_s, TimePoint now) {
  if (r.prompt_tokens > longest_prompt_ + 1)
    return Refusal{Error{Errc::invalid_argument, "no prefill node's memory holds the prompt", {}}, 0};
  return policy_.decide(c, r, deadline_s, now);
}

void SimDoor::refuse(RequestId request, Refused why, const Refusal&) {
  const bool early = why == Refused::no_room_soon || why == Refused::too_slow || why == Refused::queue_full;
  if (early) scene_.result.requests[request.value()].rejected = true;
  if (ends_) ends_(0, false);
}

std::uint32_t SimDoor::blocks(const SimRequest& q) const {
  const std::uint32_t size = scene_.spec.block_size;
  return (q.prompt_tokens + q.output_tokens + size - 1) / size;
}

void SimDoor::go(RequestId request, const ClusterSnapshot&, const Decision& d) {
  const auto row = static_cast<std::uint32_t>(request.value());
  const SimRequest& q = scene_.load[row];
  const std::uint32_t id = scene_.active.take();
  Active& a = scene_.active[id];
  a = {.row = row, .used = true, .k = d.chosen, .decided_s = scene_.now, .sends = d.chosen.profile};
  policy_.placement().placed(a.k, at(scene_.now));
  DecodeView& dec = scene_.view.decodes[a.k.decode];
  dec.local_tokens += static_cast<std::uint64_t>(a.k.here_tokens);
  if (!a.k.local) {
    a.planned_bps = planned_link_bps(scene_.view, a.k);
    scene_.view.prefills[a.k.prefill].queued_tokens += a.k.cut;
  }
  dec.free_blocks -= std::min(dec.free_blocks, blocks(q));
  ++dec.seqs;
  Outcome& o = scene_.result.requests[row];
  o.profile = static_cast<std::uint16_t>(a.k.profile);
  o.prefill = static_cast<std::uint16_t>(a.k.prefill);
  o.decode = static_cast<std::uint16_t>(a.k.decode);
  o.local = a.k.local;
  o.cut_off = static_cast<std::uint32_t>(a.k.here_tokens);
  o.predicted_ttft_s = static_cast<float>(a.k.predicted_ttft_s + scene_.now - q.at_s);
  o.explored = d.reason == ChoiceReason::explore;
  decodes_.expect(id);
  // Reserve, its answer, prefill; or reserve alone.
  scene_.push(scene_.now + (a.k.local ? 1 : 3) * scene_.vary(scene_.spec.message_s, scene_.spec.spread), What::submit,
              id);
}

std::optional<WaitingPrompt> SimDoor::first_in_line() const {
  const auto first = intake_.first_in_line();
  if (!first) return std::nullopt;
  const SimRequest& q = scene_.load[first->value()];
  return WaitingPrompt{.tokens = static_cast<double>(q.prompt_tokens) + q.output_tokens,
                       .waited_s = scene_.now - q.at_s};
}

void SimDoor::prefill_done(std::uint32_t id) {
  const Active& a = scene_.active[id];
  scene_.view.prefills[a.k.prefill].queued_tokens -= a.k.cut;
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
  intake_.observe_output(a.output, false);
  Outcome& o = scene_.result.requests[a.row];
  const double first = a.first_s + spec.message_s;
  o.ttft_s = static_cast<float>(first - q.at_s);
  o.e2e_s = static_cast<float>(scene_.now + spec.message_s - q.at_s);
  o.tpot_s = a.output > 1 ? static_cast<float>((scene_.now - a.first_s) / (a.output - 1)) : 0;
  o.met = o.ttft_s <= spec.slo.ttft_s && o.tpot_s <= spec.slo.tpot_s;
  if (ends_) ends_(a.output, o.met);
  o.raw_bytes = a.m.raw_bytes;
  if (!a.k.local)
    o.kl = static_cast<float>(std::max(scene_.view.profiles[a.k.profile].kl, scene_.view.profiles[a.sends].kl));
  o.wire_bytes = a.m.wire_bytes;
  a.m.ttft_s = first - a.decided_s;
  a.m.tpot_s = scene_.told(o.tpot_s);
  a.m.output_tokens = a.output;
  DecodeView& dec = scene_.view.decodes[a.k.decode];
  a.m.seqs = dec.seqs;
  if (!a.moved) policy_.finished(a.k, a.m, o.met, at(scene_.now));  // its figures are of two nodes
  dec.free_blocks = std::min(dec.total_blocks, dec.free_blocks + blocks(q));
  --dec.seqs;
  scene_.active.give(id);
  scene_.result.end_s = scene_.now;
  pump();
}

}  // namespace sluice::sim
