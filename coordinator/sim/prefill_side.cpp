#include "coordinator/sim/prefill_side.h"

namespace sluice::sim {

void PrefillSide::add(const Hardware& h, std::uint32_t blocks) {
  const ClusterSpec& spec = scene_.spec;
  nodes_.emplace_back(blocks, spec.block_size);
  longest_prompt_ = std::max(longest_prompt_, blocks * spec.block_size);
  const double chunk = spec.prefill_chunk;
  // As a node measures itself at start.
  scene_.prefill_rate.push_back(chunk / pass_seconds(h, spec.model, chunk, chunk * chunk / 2, 0));
}

double PrefillSide::slow(std::size_t p) const {
  double factor = 1;
  for (const Slowdown& s : scene_.spec.slow)
    if (scene_.now >= s.at_s && (s.node < 0 || static_cast<std::size_t>(s.node) == p)) factor = s.factor;
  return factor;
}

void PrefillSide::submit(std::uint32_t id) {
  Active& a = scene_.active[id];
  a.submitted_s = scene_.now;
  out_.begin(a);
  Node& n = nodes_[a.k.prefill];
  n.waiting.push_back(id);
  admit_waiting(n);
  kick(a.k.prefill);
}

void PrefillSide::admit_waiting(Node& n) {
  while (!n.waiting.empty()) {
    const std::uint32_t id = n.waiting.front();
    const Active& a = scene_.active[id];
    const auto ok = n.scheduler.admit({.id = RequestId(id),
                                       .tokens = std::vector<TokenId>(tokens(id)),
                                       .max_total = tokens(id),
                                       .fill_to = tokens(id),
                                       .priority = scene_.asked(a).priority,
                                       .arrival = at(a.submitted_s)});
    if (!ok) return;
    n.waiting.pop_front();
  }
}

void PrefillSide::kick(std::size_t p) {
  Node& n = nodes_[p];
  const ClusterSpec& spec = scene_.spec;
  if (!n.running.empty()) return;
  n.running = n.scheduler.plan({spec.max_batch_tokens, spec.max_seqs, spec.prefill_chunk, true}).work;
  if (n.running.empty()) return;
  double rows = 0;
  double pairs = 0;
  double context = 0;
  for (const auto& w : n.running) {
    Active& a = scene_.active[w.id.value()];
    if (w.first == 0) a.m.queue_s = scene_.now - a.submitted_s;
    rows += w.count;
    pairs += w.count * (w.first + 0.5 * w.count);
    context += w.first;
  }
  n.pass_from_s = scene_.now;
  ++scene_.busy;
  const double alone = pass_seconds(spec.prefills[p], spec.model, rows, pairs, context) * slow(p);
  const double s = scene_.vary(alone * scene_.crowding(), spec.spread);
  meter(scene_.prefill_rate[p], rows / s);
  scene_.push(scene_.now + s, What::prefill_pass, p);
  if (!spec.overlap) return;
  for (const auto& w : n.running) {
    const auto id = static_cast<std::uint32_t>(w.id.value());
    out_.ship(p, id, w.count, w.first + w.count == tokens(id), s);
  }
}

void PrefillSide::pass_ends(std::size_t p) {
  Node& n = nodes_[p];
  --scene_.busy;
  const double pass_s = scene_.now - n.pass_from_s;
  std::vector<engine::Work> works;
  works.swap(n.running);
  for (const auto& w : works) {
    (void)n.scheduler.commit(w);
    const auto id = static_cast<std::uint32_t>(w.id.value());
    Active& a = scene_.active[id];
    a.m.compute_s += pass_s;
    const bool last = w.first + w.count == tokens(id);
    if (last) a.computed_s = scene_.now;
    if (last && !scene_.spec.overlap) out_.ship(p, id, tokens(id), true, 0);
  }
  kick(p);
}

void PrefillSide::let_go(std::uint32_t id) {
  const std::size_t p = scene_.active[id].k.prefill;
  (void)nodes_[p].scheduler.finish(RequestId(id));
  admit_waiting(nodes_[p]);
  kick(p);
}

void PrefillSide::report(std::size_t p) { scene_.view.prefills[p].tokens_per_s = scene_.told(scene_.prefill_rate[p]); }

}  // namespace sluice::sim
