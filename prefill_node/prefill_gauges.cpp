#include "prefill_node/prefill_gauges.h"

namespace sluice::prefill {

PrefillGauges::PrefillGauges(Metrics& m)
    : blocks_(m),
      waiting_(m.gauge("sluice_prefill_waiting", "Prompts whose computation has not begun.")),
      queued_tokens_(m.gauge("sluice_prefill_queued_tokens", "Prompt tokens not computed yet.")),
      speed_(m.gauge("sluice_prefill_tokens_per_second", "EWMA of prefill speed.")),
      open_(m.gauge("sluice_prefill_requests_open", "Requests accepted and not reported.")),
      tokens_(m.counter("sluice_prefill_tokens_total", "Prompt tokens computed.")) {}

void PrefillGauges::set(const PrefillFigures& f, std::size_t open_requests) const {
  blocks_.set(f.counters);
  waiting_.set(f.waiting + f.counters.waiting);
  queued_tokens_.set(static_cast<double>(f.queued_tokens));
  speed_.set(f.tokens_per_s);
  tokens_.raise_to(static_cast<double>(f.tokens));
  open_.set(static_cast<double>(open_requests));
}

}  // namespace sluice::prefill
