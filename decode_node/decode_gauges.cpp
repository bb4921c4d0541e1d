#include "decode_node/decode_gauges.h"

namespace sluice::decode {

DecodeGauges::DecodeGauges(Metrics& m)
    : blocks_(m),
      legs_(m.gauge("sluice_legs", "Legs admitted and not ended.")),
      awaiting_kv_(m.gauge("sluice_legs_awaiting_kv", "Legs whose KV is on its way.")),
      step_s_(m.gauge("sluice_decode_step_seconds", "EWMA of one decode step.")),
      step_batch_(m.gauge("sluice_decode_step_batch", "EWMA of a decode step's batch.")),
      staged_(m.gauge("sluice_kv_staged_bytes", "Received payload bytes not decoded yet.")),
      mapped_(
          m.gauge("sluice_kv_staging_mapped_bytes", "Memory of the staging pool, in use or kept for the next frames.")),
      connections_(m.gauge("sluice_kv_connections", "Open KV connections.")),
      grammars_waiting_(m.gauge("sluice_grammars_waiting", "Grammars that wait to be compiled, or are.")),
      grammars_(m.gauge("sluice_grammars_cached", "Compiled grammars that are kept.")),
      grammar_bytes_(m.gauge("sluice_grammars_cached_bytes", "Memory of the compiled grammars that are kept.")),
      parked_(m.gauge("sluice_legs_parked", "Legs that gave up their KV blocks for a while.")),
      parked_blocks_(m.gauge("sluice_kv_parked_blocks", "KV blocks that parked legs need to go on.")),
      swap_used_(m.gauge("sluice_kv_swap_bytes", "Memory beside the pool that the KV of parked legs takes.")),
      swap_limit_(m.gauge("sluice_kv_swap_limit_bytes", "Memory beside the pool that the KV of parked legs may take.")),
      steps_(m.counter("sluice_decode_steps_total", "Engine steps run.")),
      violations_(m.counter("sluice_kv_violations_total", "Peers cut off for breaking the flow protocol.")),
      parked_seconds_(m.counter("sluice_parked_seconds_total",
                                "Time that legs were without their KV blocks, of those that went on.")) {
  const Counters ways = m.counters("sluice_preemptions_total",
                                   "Legs that gave up their KV blocks, by how they went on: swap, recompute, return.");
  for (const WayBack w : kWaysBack) preemptions_.push_back(ways.with({{"way", std::string(name(w))}}));
}

void DecodeGauges::set(const DecodeFigures& f, const Automata::Figures& g, const kv::KvReceiver::Figures& k) const {
  blocks_.set(f.counters);
  legs_.set(static_cast<double>(f.legs));
  awaiting_kv_.set(f.counters.awaiting_kv);
  step_s_.set(f.step_s);
  step_batch_.set(f.step_batch);
  staged_.set(static_cast<double>(k.staged_bytes));
  mapped_.set(static_cast<double>(k.mapped_bytes));
  connections_.set(static_cast<double>(k.connections));
  grammars_waiting_.set(static_cast<double>(g.waiting));
  grammars_.set(static_cast<double>(g.cached));
  grammar_bytes_.set(static_cast<double>(g.cached_bytes));
  parked_.set(f.counters.parked);
  parked_blocks_.set(f.counters.parked_blocks);
  swap_used_.set(static_cast<double>(f.preempted.swap.swap_used));
  swap_limit_.set(static_cast<double>(f.preempted.swap.swap_limit));
  for (std::size_t w = 0; w < preemptions_.size(); ++w)
    preemptions_[w].raise_to(static_cast<double>(f.preempted.ways[w]));
  parked_seconds_.raise_to(f.preempted.parked_s);
  steps_.raise_to(static_cast<double>(f.steps));
  violations_.raise_to(static_cast<double>(k.violations));
}

}  // namespace sluice::decode
