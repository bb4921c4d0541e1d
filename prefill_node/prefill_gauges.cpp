#include "prefill_node/prefill_gauges.h"

namespace sluice::prefill {

PrefillGauges::PrefillGauges(Metrics& m)
    : blocks_(m),
      waiting_(m.gauge("sluice_prefill_waiting", "Prompts whose computation has not begun.")),
      queued_tokens_(m.gauge("sluice_prefill_queued_tokens", "Prompt tokens not computed yet.")),
      speed_(m.gauge("sluice_prefill_tokens_per_second", "EWMA of prefill speed.")),
      open_(m.gauge("sluice_prefill_requests_open", "Requests accepted and not reported.")),
      tokens_(m.counter("sluice_prefill_tokens_total", "Prompt tokens computed.")),
      bandwidth_(m.gauges("sluice_link_bandwidth_bytes_per_second", "Measured bandwidth to a decode node.")),
      rtt_(m.gauges("sluice_link_rtt_seconds", "Measured round trip to a decode node.")),
      in_flight_(m.gauges("sluice_link_in_flight_bytes", "Sent and not given back by the decode node.")),
      queued_bytes_(m.gauges("sluice_link_queue_bytes", "Waiting for the decode node's credit.")) {}

void PrefillGauges::set(const PrefillFigures& f, std::size_t open_requests) const {
  blocks_.set(f.counters);
  waiting_.set(f.waiting + f.counters.waiting);
  queued_tokens_.set(static_cast<double>(f.queued_tokens));
  speed_.set(f.tokens_per_s);
  tokens_.raise_to(static_cast<double>(f.tokens));
  open_.set(static_cast<double>(open_requests));
}

void PrefillGauges::set_links(const std::vector<std::pair<std::string, kv::LinkStats>>& links) const {
  for (const Gauges* g : {&bandwidth_, &rtt_, &in_flight_, &queued_bytes_}) g->clear();
  for (const auto& [decode_node, s] : links) {
    const Labels link{{"decode_node", decode_node}};
    bandwidth_.with(link).set(s.bandwidth_bytes_per_s);
    rtt_.with(link).set(s.rtt_s);
    in_flight_.with(link).set(static_cast<double>(s.bytes_in_flight));
    queued_bytes_.with(link).set(static_cast<double>(s.queue_bytes));
  }
}

}  // namespace sluice::prefill
