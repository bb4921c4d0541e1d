#include "coordinator/sim/prefill_side.h"

#include "coordinator/sim/prompt_names.h"

namespace sluice::sim {

void PrefillSide::add(const Hardware& h, std::uint32_t blocks) {
  const ClusterSpec& spec = scene_.spec;
  nodes_.emplace_back(blocks, spec.block_size, spec.prefix_cache);
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
  if (scene_.spec.prefix_cache) a.names = prompt_names(scene_.asked(a), tokens(id), scene_.spec.block_size);
  out_.begin(a);
  Node& n = nodes_[a.k.prefill];
  n.waiting.push_back(id);
  admit_waiting(n);
  kick(a.k.prefill);
}

void PrefillSide::admit_waiting(Node& n) {
  while (!n.waiting.empty() && admit(n, n.waiting.front())) n.waiting.pop_front();
}

bool PrefillSide::admit(Node& n, std::uint32_t id) {
  Active& a = scene_.active[id];
  const std::uint32_t block = scene_.spec.block_size;
  std::vector<engine::BlockHandle> shared;
  // At least one position is left to compute.
  const std::size_t most = std::min<std::size_t>(a.names.size(), (tokens(id) - 1) / block);
  if (most > 0) shared = n.cache->acquire(std::span(a.names).first(most));
  const auto had = static_cast<std::uint32_t>(shared.size()) * block;
  const auto ok = n.scheduler.admit({.id = RequestId(id),
                                     .tokens = std::vector<TokenId>(tokens(id)),
                                     .computed = had,
                                     .max_total = tokens(id),
                                     .fill_to = tokens(id),
                                     .priority = scene_.asked(a).priority,
                                     .arrival = at(a.submitted_s),
                                     .shared = shared});
  if (!ok) {
    for (const auto& b : shared) (void)n.blocks.release(b);
    return false;
  }
  a.had = had;
  a.m.had_tokens = had;
  if (had > 0 && scene_.spec.overlap) out_.ship(a.k.prefill, id, had, false, 0);
  return true;
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
    if (w.first == a.had) a.m.queue_s = scene_.now - a.submitted_s;
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
    if (!a.names.empty()) {
      const std::size_t whole = std::min<std::size_t>(a.names.size(), (w.first + w.count) / scene_.spec.block_size);
      const std::size_t from = std::min<std::size_t>(whole, w.first / scene_.spec.block_size);
      n.cache->publish(std::span(a.names).first(whole), n.scheduler.view(w.id)->blocks, from);
    }
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

void PrefillSide::report(std::size_t p) {
  coordinator::PrefillView& view = scene_.view.prefills[p];
  view.tokens_per_s = scene_.told(scene_.prefill_rate[p]);
  Node& n = nodes_[p];
  if (!n.cache) return;
  const auto changes = n.cache->changes_since(n.told);
  if (changes.anew) scene_.prefixes.begin(view.id, n.blocks.total_blocks());
  scene_.prefixes.removed(view.id, changes.removed);
  scene_.prefixes.stored(view.id, changes.stored);
  n.told = changes.next;
}

}  // namespace sluice::sim
