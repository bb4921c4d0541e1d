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
      steps_(m.counter("sluice_decode_steps_total", "Engine steps run.")),
      violations_(m.counter("sluice_kv_violations_total", "Peers cut off for breaking the flow protocol.")) {}

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
  steps_.raise_to(static_cast<double>(f.steps));
  violations_.raise_to(static_cast<double>(k.violations));
}

}  // namespace sluice::decode
