#include "coordinator/serving/vllm_metrics.h"

#include <algorithm>

namespace sluice::coordinator {

VllmMetrics::VllmMetrics(Metrics& m, const std::string& model, double max_model_len)
    : model_{{"model_name", model}},
      waiting_(m.gauge("vllm:num_requests_waiting", "As sluice_requests_waiting.", model_)),
      running_(m.gauge("vllm:num_requests_running", "As sluice_requests_running.", model_)),
      kv_usage_(m.gauge("vllm:kv_cache_usage_perc", "Share of the decode nodes' KV blocks in use, 0 to 1.", model_)),
      kv_usage_old_(m.gauge("vllm:gpu_cache_usage_perc", "Earlier name of vllm:kv_cache_usage_perc.", model_)),
      cache_(m.gauges("vllm:cache_config_info", "1; the decode nodes' KV blocks, and tokens in each.")),
      prompt_(m.counter("vllm:prompt_tokens_total", "As sluice_prompt_tokens_total.", model_)),
      generation_(m.counter("vllm:generation_tokens_total", "As sluice_output_tokens_total.", model_)),
      preemptions_(m.counter("vllm:num_preemptions_total",
                             "Times that sequences gave up their KV blocks on decode nodes.", model_)),
      prefix_queries_(m.counter("vllm:prefix_cache_queries_total",
                                "Prompt tokens that prefill nodes looked for in their prefix caches.", model_)),
      prefix_hits_(m.counter("vllm:prefix_cache_hits_total",
                             "Prompt tokens that were not computed: their KV was in a prefix cache.", model_)),
      success_(m.counters("vllm:request_success_total", "Requests by how they ended: stop, length or abort.")),
      ttft_(m.histogram("vllm:time_to_first_token_seconds", "As sluice_ttft_seconds.", ttft_buckets(), model_)),
      itl_(m.histogram("vllm:inter_token_latency_seconds", "As sluice_itl_seconds.", tpot_buckets(), model_)),
      itl_old_(m.histogram("vllm:time_per_output_token_seconds", "Earlier name of vllm:inter_token_latency_seconds.",
                           tpot_buckets(), model_)),
      tpot_(
          m.histogram("vllm:request_time_per_output_token_seconds", "As sluice_tpot_seconds.", tpot_buckets(), model_)),
      e2e_(m.histogram("vllm:e2e_request_latency_seconds", "As sluice_e2e_seconds.", request_buckets(), model_)),
      queue_(m.histogram("vllm:request_queue_time_seconds", "From a request's arrival until its computation began.",
                         request_buckets(), model_)),
      prefill_(m.histogram("vllm:request_prefill_time_seconds",
                           "From the begin of a request's computation to its first token, its KV's transfer included.",
                           request_buckets(), model_)),
      decode_(m.histogram("vllm:request_decode_time_seconds", "From a request's first token to its last.",
                          request_buckets(), model_)),
      inference_(m.histogram("vllm:request_inference_time_seconds",
                             "From the begin of a request's computation to its last token.", request_buckets(),
                             model_)),
      prompt_tokens_(m.histogram("vllm:request_prompt_tokens", "Prompt tokens of a finished request.",
                                 count_buckets(max_model_len), model_)),
      generation_tokens_(m.histogram("vllm:request_generation_tokens", "Tokens generated for a finished request.",
                                     count_buckets(max_model_len), model_)) {}

void VllmMetrics::on_first_token(const Session& s, double ttft_s) const {
  generation_.add();
  ttft_.observe(ttft_s, s.exemplar());
}

void VllmMetrics::on_token_gap(const Session& s, double seconds) const {
  generation_.add();
  itl_.observe(seconds, s.exemplar());
  itl_old_.observe(seconds, s.exemplar());
}

void VllmMetrics::on_end(const Session& s, std::string_view outcome, double e2e_s) const {
  const bool finished = outcome == "stop" || outcome == "length";
  Labels how = model_;
  how["finished_reason"] = finished ? std::string(outcome) : "abort";
  if (finished || outcome == "cancelled") success_.with(how).add();
  if (!finished) return;
  e2e_.observe(e2e_s, s.exemplar());
  prompt_tokens_.observe(s.asked.features.prompt_tokens);
  generation_tokens_.observe(static_cast<double>(s.answer.emitted.size()));
  if (const auto tpot = s.tpot_s()) tpot_.observe(*tpot, s.exemplar());
  // One that was placed again began more than once; its phases are no such sequence.
  if (s.answer.first_token && s.undisturbed()) on_phases(s);
}

void VllmMetrics::on_phases(const Session& s) const {
  const double queue = s.asked.features.waited_s + s.seen.node_queue_s;
  const double prefill = std::max(0.0, s.ttft_s().value_or(0) - queue);
  const double decode = seconds(s.answer.last_token - *s.answer.first_token);
  queue_.observe(queue);
  prefill_.observe(prefill);
  decode_.observe(decode);
  inference_.observe(prefill + decode);
}

void VllmMetrics::refresh(const LegCounts& legs, const KvCache& kv, std::uint64_t preemptions) const {
  preemptions_.raise_to(static_cast<double>(preemptions));
  const double kv_usage = kv.blocks > 0 ? static_cast<double>(kv.used) / static_cast<double>(kv.blocks) : 0;
  waiting_.set(static_cast<double>(legs.waiting));
  running_.set(static_cast<double>(legs.running));
  kv_usage_.set(kv_usage);
  kv_usage_old_.set(kv_usage);
  cache_.clear();  // the figures are labels
  if (kv.block_size == 0) return;
  cache_.with({{"block_size", std::to_string(kv.block_size)}, {"num_gpu_blocks", std::to_string(kv.blocks)}}).set(1);
}

}  // namespace sluice::coordinator
