#include "prefill_node/prefill_gauges.h"

namespace sluice::prefill {

PrefillGauges::PrefillGauges(Metrics& m)
    : blocks_(m),
      waiting_(m.gauge("sluice_prefill_waiting", "Prompts whose computation has not begun.")),
      queued_tokens_(m.gauge("sluice_prefill_queued_tokens", "Prompt tokens not computed yet.")),
      speed_(m.gauge("sluice_prefill_tokens_per_second", "EWMA of prefill speed.")),
      open_(m.gauge("sluice_prefill_requests_open", "Requests accepted and not reported.")),
      tokens_(m.counter("sluice_prefill_tokens_total", "Prompt tokens computed.")),
      cache_queries_(m.counter("sluice_prefix_cache_queries_tokens_total",
                               "Tokens of prompts that were looked for in the prefix cache.")),
      cache_hits_(m.counter("sluice_prefix_cache_hits_tokens_total",
                            "Prompt tokens that were not computed: their KV was in the prefix cache.")),
      cache_evicted_(
          m.counter("sluice_prefix_cache_evicted_blocks_total", "KV blocks that the prefix cache gave up for others.")),
      cache_blocks_(m.gauge("sluice_prefix_cache_blocks",
                            "KV blocks that the prefix cache knows; those that nobody else holds count as free.")) {}

void PrefillGauges::set(const PrefillFigures& f, std::size_t open_requests) const {
  blocks_.set(f.counters);
  waiting_.set(f.waiting + f.counters.waiting);
  queued_tokens_.set(static_cast<double>(f.queued_tokens));
  speed_.set(f.tokens_per_s);
  tokens_.raise_to(static_cast<double>(f.tokens));
  cache_queries_.raise_to(static_cast<double>(f.cache.queried_tokens));
  cache_hits_.raise_to(static_cast<double>(f.cache.hit_tokens));
  cache_evicted_.raise_to(static_cast<double>(f.cache.evicted_blocks));
  cache_blocks_.set(f.cache.blocks);
  open_.set(static_cast<double>(open_requests));
}

}  // namespace sluice::prefill
