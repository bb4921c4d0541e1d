#include "coordinator/sim/decode_side.h"

#include <algorithm>
#include <utility>

#include "coordinator/policy/placement.h"

namespace sluice::sim {

using namespace coordinator;

void DecodeSide::add(const Hardware& h, std::uint32_t blocks) {
  nodes_.emplace_back(blocks, scene_.spec.block_size);
  const double chunk = scene_.spec.prefill_chunk;
  // As a node measures itself at start.
  scene_.decode_rate.push_back(chunk / pass_seconds(h, scene_.spec.model, chunk, chunk * chunk / 2, 0));
}

/// A place on its node; positions whose KV is there or comes.
void DecodeSide::seat(std::uint32_t id, std::uint32_t computed) {
  const Active& a = scene_.active[id];
  const SimRequest& q = scene_.asked(a);
  Node& n = nodes_[a.k.decode];
  n.held.push_back(id);
  (void)n.scheduler.admit({.id = RequestId(id),
                           .tokens = std::vector<TokenId>(q.prompt_tokens + a.output),
                           .computed = computed,
                           .max_total = q.prompt_tokens + q.output_tokens,
                           .priority = q.priority,
                           .arrival = at(q.at_s),
                           .ready = false});
}

void DecodeSide::expect(std::uint32_t id) { seat(id, scene_.active[id].k.cut); }

void DecodeSide::ready(std::uint32_t id) {
  Active& a = scene_.active[id];
  a.ready_s = scene_.now;
  a.decodes = true;
  const std::size_t d = a.k.decode;
  Node& n = nodes_[d];
  (void)n.scheduler.mark_ready(RequestId(id));
  ++n.ready;
  if (n.running.empty())
    kick(d);
  else if (const std::uint32_t steps = n.run.begun(scene_.now); steps < n.run.steps)
    end_run_at(d, steps);  // it joins the next step
}

void DecodeSide::leave(std::uint32_t id) {
  Active& a = scene_.active[id];
  a.leaving = true;
  const std::size_t d = a.k.decode;
  Node& n = nodes_[d];
  if (const std::uint32_t steps = n.run.begun(scene_.now); !n.running.empty() && steps < n.run.steps)
    end_run_at(d, steps);
}

void DecodeSide::go_on(std::uint32_t id) {
  const Active& a = scene_.active[id];
  seat(id, scene_.asked(a).prompt_tokens + a.output - 1);
  ready(id);
}

void DecodeSide::kick(std::size_t d) {
  Node& n = nodes_[d];
  const ClusterSpec& spec = scene_.spec;
  if (!n.running.empty()) return;
  n.running = n.scheduler
                  .plan({.max_batch_tokens = spec.max_batch_tokens,
                         .max_seqs = spec.max_seqs,
                         .prefill_chunk = spec.prefill_chunk,
                         .most_prompt_rows = spec.prefill_chunk})
                  .work;
  if (n.running.empty()) return;
  if (has_chunk(n)) return start_mixed(d);
  double context = 0;
  std::uint32_t steps = UINT32_MAX;
  for (const auto& w : n.running) {
    context += w.first + 1;
    const Active& a = scene_.active[w.id.value()];
    steps = std::min(steps, std::max(scene_.asked(a).output_tokens, a.output + 1) - a.output);
  }
  // The next plan takes others; or how fast it goes depends on who else computes.
  if (n.running.size() < n.ready || spec.cores > 0) steps = 1;
  ++scene_.busy;
  const auto rows = static_cast<double>(n.running.size());
  const double factor = scene_.vary(1, spec.spread / std::sqrt(steps)) * scene_.crowding();
  const double last = context + rows * (steps - 1);
  const double first_s = factor * pass_seconds(spec.decodes[d], spec.model, rows, context, context);
  const double last_s = factor * pass_seconds(spec.decodes[d], spec.model, rows, last, last);
  n.run = {.from_s = scene_.now, .first_s = first_s, .growth_s = steps > 1 ? (last_s - first_s) / (steps - 1) : 0};
  end_run_at(d, steps);
}

bool DecodeSide::has_chunk(const Node& n) const {
  return std::ranges::any_of(n.running, [&](const engine::Work& w) {
    const Active& a = scene_.active[w.id.value()];
    return w.count > 1 || (a.output == 0 && a.k.here_tokens > 0);
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
  std::vector<engine::Work> works;
  works.swap(n.running);
  const std::uint32_t steps = n.run.steps;
  const double first_s = n.run.end_of(1);
  const bool mixed = std::ranges::any_of(works, [](const engine::Work& w) { return w.count > 1; });
  if (!mixed) {
    meter(n.step_s, (scene_.now - n.run.from_s) / steps, steps);
    meter(n.batch, static_cast<double>(works.size()), steps);
  }
  for (const auto& w : works) stepped(n, w, steps, first_s);
  kick(d);
}

void DecodeSide::first_token(Active& a, std::uint32_t id, double at_s) {
  a.first_s = at_s;
  a.m.first_step_s = scene_.told(at_s - a.ready_s);
  if (a.k.here_tokens <= 0) return;
  a.m.local_queue_s = scene_.told(a.local_from_s - a.ready_s);
  a.m.local_s = scene_.told(at_s - a.local_from_s);
  computed_(id);
}

void DecodeSide::stepped(Node& n, const engine::Work& w, std::uint32_t steps, double first_s) {
  const auto id = static_cast<std::uint32_t>(w.id.value());
  if (!w.wants_logits || w.count > 1)
    (void)n.scheduler.commit(w);
  else
    (void)n.scheduler.commit_run(w, steps, 0);
  if (!w.wants_logits) return;  // a prompt's chunk, with more to come
  Active& a = scene_.active[id];
  if (a.output == 0) first_token(a, id, first_s);
  a.output += steps;
  if (a.output < scene_.asked(a).output_tokens) {
    (void)n.scheduler.append(w.id, 0);
    if (!a.leaving) return;
  }
  (void)n.scheduler.finish(RequestId(id));
  --n.ready;
  std::erase(n.held, id);
  if (std::exchange(a.leaving, false) && a.output < scene_.asked(a).output_tokens)
    left_(id);
  else
    ended_(id);
}

Occupant DecodeSide::occupant(const Active& a, const Node& n) const {
  const SimRequest& q = scene_.asked(a);
  const RequestFeatures r{.prompt_tokens = q.prompt_tokens, .max_new_tokens = q.output_tokens};
  Occupant o{.blocks = static_cast<double>(blocks_needed(r, scene_.spec.block_size)),
             .emitted = static_cast<double>(a.output),
             .limit = static_cast<double>(q.output_tokens),
             .tpot_s = a.k.predicted_tpot_s};
  const double now = scene_.now;
  const bool in_run = a.decodes && !n.running.empty() && n.run.from_s >= a.ready_s;
  if (in_run) o.emitted += n.run.begun(now) - 1.0;  // counted at the run's end only
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
  const Node& n = nodes_[d];
  if (scene_.spec.local_prefill) scene_.view.decodes[d].prompt_tokens_per_s = scene_.told(scene_.decode_rate[d]);
  if (n.step_s <= 0) return;
  scene_.view.decodes[d].step_s = scene_.told(n.step_s);
  scene_.view.decodes[d].step_batch = n.batch;
}

}  // namespace sluice::sim
