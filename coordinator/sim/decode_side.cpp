#include "coordinator/sim/decode_side.h"

#include <algorithm>
#include <utility>

#include "coordinator/policy/placement.h"

namespace sluice::sim {

using namespace coordinator;

void DecodeSide::add(const Hardware& h, std::uint32_t blocks) {
  nodes_.emplace_back(blocks, scene_.spec.block_size);
  grows_s_.push_back(INFINITY);
  const double chunk = scene_.spec.prefill_chunk;
  // As a node measures itself at start.
  scene_.decode_rate.push_back(chunk / pass_seconds(h, scene_.spec.model, chunk, chunk * chunk / 2, 0));
}

bool DecodeSide::expect(std::uint32_t id, std::size_t d, std::uint32_t computed, std::uint32_t tokens) {
  const Active& a = scene_.active[id];
  const SimRequest& q = scene_.asked(a);
  Node& n = nodes_[d];
  catch_up(n);
  if (!n.scheduler.admit({.id = RequestId(id),
                          .tokens = std::vector<TokenId>(tokens),
                          .computed = computed,
                          .max_total = q.prompt_tokens + a.limit,
                          .priority = q.priority,
                          .arrival = at(q.at_s),
                          .ready = false,
                          .grows = book_.grows()}))
    return false;
  n.held.push_back(id);
  // What it took is not there any more for the steps under way.
  if (n.run.steps <= 1 || n.running.empty() || !book_.grows()) return true;
  const std::uint32_t begun = n.run.begun(scene_.now);
  if (const std::uint32_t steps = n.scheduler.steps_ahead(n.running, n.run.steps); steps < n.run.steps)
    end_run_at(d, std::max(begun, steps));
  return true;
}

void DecodeSide::forget(std::uint32_t id, std::size_t d) {
  Node& n = nodes_[d];
  (void)n.scheduler.finish(RequestId(id));
  std::erase(n.held, id);
}

/// A sequence decodes from now on, or does not any more.
void DecodeSide::join(std::size_t d, std::uint32_t id) {
  (void)nodes_[d].scheduler.mark_ready(RequestId(id));
  ++nodes_[d].ready;
  scene_.decoding.add(scene_.now, 1);
}

void DecodeSide::part(std::size_t d, std::uint32_t id) {
  scene_.active[id].runs = false;
  --nodes_[d].ready;
  scene_.decoding.add(scene_.now, -1);
}

/// The next plan would be another one: it is made after the step under way.
void DecodeSide::wake(std::size_t d) {
  Node& n = nodes_[d];
  if (n.running.empty())
    kick(d);
  else if (const std::uint32_t steps = n.run.begun(scene_.now); steps < n.run.steps)
    end_run_at(d, steps);
}

/// Blocks that the steps begun have taken, before others ask for some.
void DecodeSide::catch_up(Node& n) {
  if (!book_.grows() || n.run.steps <= 1) return;
  const std::uint32_t begun = n.running.empty() ? 0 : n.run.begun(scene_.now);
  for (const engine::Work& w : n.running) (void)n.scheduler.reserve(w.id, w.first + begun);
}

void DecodeSide::ready(std::uint32_t id) {
  Active& a = scene_.active[id];
  a.ready_s = scene_.now;
  a.decodes = true;
  join(a.k.decode, id);
  wake(a.k.decode);
}

void DecodeSide::stop_ahead(std::uint32_t id) {
  const Active& a = scene_.active[id];
  Node& n = nodes_[a.k.decode];
  if (!a.runs || n.running.empty()) return;
  const std::uint32_t most = std::max(a.stop - a.output, n.run.begun(scene_.now));
  if (most < n.run.steps) end_run_at(a.k.decode, most);
}

void DecodeSide::kick(std::size_t d) {
  Node& n = nodes_[d];
  const ClusterSpec& spec = scene_.spec;
  if (!n.running.empty()) return;
  engine::Plan plan;
  do
    plan = n.scheduler.plan({.max_batch_tokens = spec.max_batch_tokens,
                             .max_seqs = spec.max_seqs,
                             .prefill_chunk = spec.prefill_chunk,
                             .most_prompt_rows = spec.prefill_chunk});
  while (park_and_return(d, plan) && plan.work.empty());
  n.running = std::move(plan.work);
  if (n.running.empty()) return;
  for (const auto& w : n.running) scene_.active[w.id.value()].runs = true;
  if (has_chunk(n)) return start_mixed(d);
  double context = 0;
  for (const auto& w : n.running) context += w.first + 1;
  const std::uint32_t steps = steps_of(n);
  ++scene_.busy;
  const auto rows = static_cast<double>(n.running.size());
  const double factor = scene_.vary(1, spec.spread / std::sqrt(steps)) * scene_.crowding();
  const double last = context + rows * (steps - 1);
  const double first_s = factor * pass_seconds(spec.decodes[d], spec.model, rows, context, context);
  const double last_s = factor * pass_seconds(spec.decodes[d], spec.model, rows, last, last);
  n.run = {.from_s = scene_.now, .first_s = first_s, .growth_s = steps > 1 ? (last_s - first_s) / (steps - 1) : 0};
  end_run_at(d, steps);
  if (book_.grows()) tell_growth(d);
}

/// How many steps the batch makes before a plan differs.
std::uint32_t DecodeSide::steps_of(const Node& n) const {
  // The next plan takes others; or how fast it goes depends on who else computes.
  if (n.running.size() < n.ready || scene_.spec.cores > 0) return 1;
  std::uint32_t steps = UINT32_MAX;
  for (const auto& w : n.running) {
    const Active& a = scene_.active[w.id.value()];
    steps = std::min(steps, std::max(std::min(a.ends, a.stop), a.output + 1) - a.output);
  }
  return book_.grows() ? n.scheduler.steps_ahead(n.running, steps) : steps;
}

bool DecodeSide::has_chunk(const Node& n) const {
  return std::ranges::any_of(n.running, [&](const engine::Work& w) {
    const Active& a = scene_.active[w.id.value()];
    return w.count > 1 || !w.wants_logits || (a.output == 0 && a.k.here_tokens > 0);
  });
}

/// A pass with chunks of prompts among its rows.
void DecodeSide::start_mixed(std::size_t d) {
  Node& n = nodes_[d];
  const ClusterSpec& spec = scene_.spec;
  double rows = 0;
  double pairs = 0;
  double context = 0;
  double chunks = 0;
  for (const auto& w : n.running) {
    Active& a = scene_.active[w.id.value()];
    const bool of_prompt = a.output == 0 && a.k.here_tokens > 0;
    if (of_prompt && a.local_from_s < 0) a.local_from_s = scene_.now;
    if (of_prompt) chunks += w.count;
    rows += w.count;
    pairs += w.count * (w.first + 0.5 * w.count);
    context += w.first;
  }
  ++scene_.busy;
  const double alone = pass_seconds(spec.decodes[d], spec.model, rows, pairs, context);
  const double s = scene_.vary(alone * scene_.crowding(), spec.spread);
  if (2 * chunks >= spec.prefill_chunk) meter(scene_.decode_rate[d], chunks / s);
  n.run = {.from_s = scene_.now, .first_s = s, .growth_s = 0};
  end_run_at(d, 1);
}

void DecodeSide::end_run_at(std::size_t d, std::uint32_t steps) {
  StepRun& run = nodes_[d].run;
  run.steps = steps;
  run.event = scene_.push(run.end_of(steps), What::decode_run, d);
}

void DecodeSide::run_ends(std::size_t d, std::uint64_t event) {
  Node& n = nodes_[d];
  if (event != n.run.event) return;
  --scene_.busy;
  catch_up(n);  // who hears of an end may place others here
  std::vector<engine::Work> works;
  works.swap(n.running);
  const std::uint32_t steps = n.run.steps;
  const double first_s = n.run.end_of(1);
  const bool mixed = std::ranges::any_of(works, [](const engine::Work& w) { return w.count > 1; });
  if (!mixed) {
    meter(n.step_s, (scene_.now - n.run.from_s) / steps, steps);
    meter(n.batch, static_cast<double>(works.size()), steps);
  }
  // All tokens come before anybody hears of an end, and decides by what the others hold.
  for (const auto& w : works) {
    Active& a = scene_.active[w.id.value()];
    a.runs = false;
    if (w.wants_logits) book_.emitted(a, a.output + steps);
  }
  for (const auto& w : works) stepped(d, w, steps, first_s);
  kick(d);
}

void DecodeSide::first_token(Active& a, std::uint32_t id, double at_s) {
  a.first_s = at_s;
  a.m.first_step_s = scene_.told(at_s - a.ready_s);
  if (a.k.here_tokens <= 0) return;
  a.m.local_queue_s = scene_.told(a.local_from_s - a.ready_s);
  a.m.local_s = scene_.told(at_s - a.local_from_s);
  hears_.computed(id);
}

void DecodeSide::emit(Active& a, std::uint32_t steps, double first_s) {
  a.output += steps;
  if (a.parked_s < 0) return;
  scene_.result.requests[a.row].stalled_s += static_cast<float>(first_s - a.parked_s);
  a.parked_s = -1;
}

void DecodeSide::stepped(std::size_t d, const engine::Work& w, std::uint32_t steps, double first_s) {
  Node& n = nodes_[d];
  const auto id = static_cast<std::uint32_t>(w.id.value());
  if (!w.wants_logits || w.count > 1)
    (void)n.scheduler.commit(w);
  else
    (void)n.scheduler.commit_run(w, steps, 0);
  if (!w.wants_logits) return;  // a prompt's chunk, with more to come
  Active& a = scene_.active[id];
  if (a.output == 0) first_token(a, id, first_s);
  emit(a, steps, first_s);
  if (a.output < a.ends) {
    (void)n.scheduler.append(w.id, 0);
    if (a.output < a.stop) return;
  }
  part(d, id);
  forget(id, d);
  (a.output < a.ends ? hears_.left : hears_.ended)(id);
}

/// Its tokens, those of the steps under way included: they are counted at the run's end only.
std::uint32_t DecodeSide::emitted(const Active& a, const Node& n) const {
  return a.runs && !n.running.empty() ? a.output + n.run.begun(scene_.now) - 1 : a.output;
}

/// When a sequence of the steps under way takes its next block.
void DecodeSide::tell_growth(std::size_t d) {
  const Node& n = nodes_[d];
  std::uint32_t soonest = UINT32_MAX;
  for (const engine::Work& w : n.running) {
    const Active& a = scene_.active[w.id.value()];
    const std::uint32_t has = scene_.asked(a).prompt_tokens + emitted(a, n);
    soonest = std::min(soonest, emitted(a, n) - a.output + (a.place.grows_at > has ? a.place.grows_at - has : 1));
  }
  grows_s_[d] = soonest < n.run.steps ? n.run.end_of(soonest) : INFINITY;
}

void DecodeSide::tell_tokens() {
  if (!book_.grows()) return;
  for (std::size_t d = 0; d < nodes_.size(); ++d) {
    if (grows_s_[d] > scene_.now) continue;
    grows_s_[d] = INFINITY;
    const Node& n = nodes_[d];
    if (n.running.empty()) continue;
    for (const engine::Work& w : n.running) {
      Active& a = scene_.active[w.id.value()];
      book_.emitted(a, emitted(a, n));
    }
    tell_growth(d);
  }
}

Occupant DecodeSide::occupant(const Active& a, const Node& n) const {
  Occupant o{.blocks = static_cast<double>(a.place.blocks),
             .emitted = static_cast<double>(emitted(a, n)),
             .limit = static_cast<double>(a.limit),
             .tpot_s = a.k.predicted_tpot_s,
             .blocks_a_token = book_.grows() ? 1.0 / scene_.spec.block_size : 0};
  const double now = scene_.now;
  if (o.emitted == 0) o.starts_in_s = a.decided_s + a.k.predicted_ttft_s - now;
  if (o.emitted > 1 && a.first_s >= 0) o.tpot_s = (now - a.first_s) / (o.emitted - 1);
  return o;
}

OccupantsOf DecodeSide::occupants() {
  return [this](std::size_t node) {
    const Node& n = nodes_[node];
    on_node_.clear();
    for (const std::uint32_t id : n.held) on_node_.push_back(occupant(scene_.active[id], n));
    return std::span<const Occupant>(on_node_);
  };
}

void DecodeSide::report(std::size_t d) {
  Node& n = nodes_[d];
  if (book_.grows()) book_.told(d, n.parked, std::exchange(n.preempted, 0));
  if (scene_.spec.local_prefill) scene_.view.decodes[d].prompt_tokens_per_s = scene_.told(scene_.decode_rate[d]);
  if (n.step_s <= 0) return;
  scene_.view.decodes[d].step_s = scene_.told(n.step_s);
  scene_.view.decodes[d].step_batch = n.batch;
}

}  // namespace sluice::sim
