#include "coordinator/serving/serving_metrics.h"

#include <cmath>

namespace sluice::coordinator {
namespace {

const std::vector<double> kErrorBuckets{.01, .02, .05, .1, .2, .3, .5, 1, 2, 5};

}  // namespace

ServingMetrics::ServingMetrics(Metrics& m, std::string model)
    : metrics_(m),
      model_(std::move(model)),
      alias_{{"model_name", model_}},
      ttft_(m.histogram("sluice_ttft_seconds", "Time from a request's arrival to its first token.", ttft_buckets())),
      tpot_(m.histogram("sluice_tpot_seconds", "Mean time per output token after the first, per request.",
                        tpot_buckets())),
      itl_(m.histogram("sluice_itl_seconds", "Time between two consecutive output tokens.", tpot_buckets())),
      e2e_(m.histogram("sluice_e2e_seconds", "Time from a request's arrival to its end.", ttft_buckets())),
      v_ttft_(m.histogram("vllm:time_to_first_token_seconds", "Alias of sluice_ttft_seconds.", ttft_buckets(), alias_)),
      v_tpot_(
          m.histogram("vllm:time_per_output_token_seconds", "Alias of sluice_tpot_seconds.", tpot_buckets(), alias_)),
      v_itl_(m.histogram("vllm:inter_token_latency_seconds", "Alias of sluice_itl_seconds.", tpot_buckets(), alias_)),
      v_e2e_(m.histogram("vllm:e2e_request_latency_seconds", "Alias of sluice_e2e_seconds.", ttft_buckets(), alias_)),
      error_(m.histogram("sluice_ttft_prediction_error_ratio", "abs(actual - predicted) / actual of TTFT.",
                         kErrorBuckets)),
      tpot_error_(m.histogram("sluice_tpot_prediction_error_ratio", "abs(actual - predicted) / actual of TPOT.",
                              kErrorBuckets)),
      waiting_(m.gauge("sluice_requests_waiting",
                       "Legs whose computation has not begun: they wait for a place, or on a prefill node.")),
      running_(m.gauge("sluice_requests_running", "Legs whose computation has begun and that have not ended.")),
      v_waiting_(m.gauge("vllm:num_requests_waiting", "Alias of sluice_requests_waiting.", alias_)),
      v_running_(m.gauge("vllm:num_requests_running", "Alias of sluice_requests_running.", alias_)),
      v_cache_(m.gauge("vllm:kv_cache_usage_perc", "Share of the decode nodes' KV blocks in use, 0 to 1.", alias_)),
      prompt_(m.counter("sluice_prompt_tokens_total", "Prompt tokens of placed requests.")),
      output_(m.counter("sluice_output_tokens_total", "Tokens generated.")),
      v_prompt_(m.counter("vllm:prompt_tokens_total", "Alias of sluice_prompt_tokens_total.", alias_)),
      v_output_(m.counter("vllm:generation_tokens_total", "Alias of sluice_output_tokens_total.", alias_)),
      resumes_(m.counter("sluice_resumes_total", "Times a request was placed again after a node failed.")) {}

void ServingMetrics::on_decision(const Session& s) {
  metrics_
      .counter("sluice_decisions_total", "Placement decisions.",
               {{"prefill_node", s.run.prefill.value()},
                {"decode_node", s.run.decode.value()},
                {"profile", s.asked.colocated ? "none" : s.run.profile},
                {"reason", std::string(name(s.run.reason))}})
      .Increment();
  if (s.answer.resumes > 0) return resumes_.Increment();
  prompt_.Increment(s.asked.features.prompt_tokens);
  v_prompt_.Increment(s.asked.features.prompt_tokens);
}

void ServingMetrics::on_first_token(const Session& s) {
  const double t = s.ttft_s().value_or(0);
  ttft_.Observe(t);
  v_ttft_.Observe(t);
  const double predicted = s.run.predicted_ttft_s + s.asked.features.waited_s;
  if (t > 0 && s.run.predicted_ttft_s > 0 && s.answer.resumes == 0) error_.Observe(std::abs(t - predicted) / t);
}

void ServingMetrics::on_token_gap(double seconds) {
  itl_.Observe(seconds);
  v_itl_.Observe(seconds);
}

void ServingMetrics::on_end(const Session& s, std::string_view outcome, double e2e_s) {
  metrics_.counter("sluice_requests_total", "Ended legs by outcome.", {{"outcome", std::string(outcome)}}).Increment();
  const bool finished = outcome == "stop" || outcome == "length";
  if (finished)
    metrics_
        .counter("vllm:request_success_total", "Legs that ended well.",
                 {{"model_name", model_}, {"finished_reason", std::string(outcome)}})
        .Increment();
  output_.Increment(static_cast<double>(s.answer.emitted.size()));
  v_output_.Increment(static_cast<double>(s.answer.emitted.size()));
  const std::string profile = s.asked.colocated ? "none" : s.seen.mixed ? "mixed" : s.run.profile;
  if (s.seen.wire_bytes > 0) {
    metrics_.counter("sluice_kv_raw_bytes_total", "KV bytes before compression.", {{"profile", profile}})
        .Increment(static_cast<double>(s.seen.raw_bytes));
    metrics_.counter("sluice_kv_wire_bytes_total", "KV bytes on the wire.", {{"profile", profile}})
        .Increment(static_cast<double>(s.seen.wire_bytes));
  }
  if (!finished) return;
  e2e_.Observe(e2e_s);
  v_e2e_.Observe(e2e_s);
  const auto tpot = s.tpot_s();
  if (tpot) {
    tpot_.Observe(*tpot);
    v_tpot_.Observe(*tpot);
    if (s.run.predicted_tpot_s > 0 && s.answer.resumes == 0 && *tpot > 0)
      tpot_error_.Observe(std::abs(*tpot - s.run.predicted_tpot_s) / *tpot);
  }
  const bool met =
      s.ttft_s().value_or(1e9) <= s.asked.features.ttft_slo_s && tpot.value_or(0) <= s.asked.features.tpot_slo_s;
  metrics_
      .counter("sluice_slo_requests_total", "Ended requests by class and by whether both latency SLOs were met.",
               {{"class", s.asked.slo_class}, {"met", met ? "true" : "false"}})
      .Increment();
  const std::pair<const char*, double> stages[] = {{"queue", s.asked.features.waited_s + s.seen.node_queue_s},
                                                   {"prefill", s.seen.prefill_s},
                                                   {"encode", s.seen.encode_s},
                                                   {"wire", s.seen.wire_s},
                                                   {"decode", s.seen.decode_s},
                                                   {"exposed", s.seen.exposed_s}};
  for (const auto& [stage, t] : stages)
    metrics_
        .histogram("sluice_stage_seconds", "Time of each stage of a request; stages overlap.", stage_buckets(),
                   {{"stage", stage}})
        .Observe(t);
}

void ServingMetrics::on_profile_change(const Session& s) {
  metrics_
      .counter("sluice_kv_profile_changes_total", "Transfers that went on under another profile, by both.",
               {{"from", s.run.profile}, {"to", s.answer.change->to}})
      .Increment();
}

void ServingMetrics::on_refused(Refused why, std::string_view code) {
  if (why == Refused::no_room_soon || why == Refused::too_slow)
    metrics_
        .counter("sluice_early_rejections_total",
                 "Requests refused for what decode nodes are expected to hold, before anything was computed.",
                 {{"why", why == Refused::too_slow ? "speed" : "room"}})
        .Increment();
  if (why == Refused::waited_in_vain) return;
  metrics_
      .counter("sluice_requests_refused_total", "Legs refused before they were placed.", {{"code", std::string(code)}})
      .Increment();
}

void ServingMetrics::refresh(const ClusterView& view, const LegCounts& legs) const {
  for (auto* g : {&waiting_, &v_waiting_}) g->Set(static_cast<double>(legs.waiting));
  for (auto* g : {&running_, &v_running_}) g->Set(static_cast<double>(legs.running));
  double total = 0;
  double used = 0;
  double up[2] = {0, 0};
  for (const auto& [id, n] : view.nodes()) {
    up[n.info.role == control::Role::decode ? 1 : 0] += 1;
    if (n.info.role != control::Role::decode) continue;
    total += n.info.total_blocks;
    used += n.reserved_blocks;
  }
  v_cache_.Set(total > 0 ? used / total : 0);
  metrics_.gauge("sluice_nodes", "Registered nodes.", {{"role", "prefill"}}).Set(up[0]);
  metrics_.gauge("sluice_nodes", "Registered nodes.", {{"role", "decode"}}).Set(up[1]);
}

}  // namespace sluice::coordinator
