#include "coordinator/serving/serving_metrics.h"

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {
namespace {

const Buckets kErrorBuckets{.01, .02, .05, .1, .2, .3, .5, 1, 2, 5};

}  // namespace

ServingMetrics::ServingMetrics(Metrics& m, const std::string& model, double max_model_len)
    : ttft_(m.histogram("sluice_ttft_seconds", "Time from a request's arrival to its first token.", ttft_buckets())),
      tpot_(m.histogram("sluice_tpot_seconds", "Mean time per output token after the first, per request.",
                        tpot_buckets())),
      itl_(m.histogram("sluice_itl_seconds", "Time between two consecutive output tokens.", tpot_buckets())),
      e2e_(m.histogram("sluice_e2e_seconds", "Time from a request's arrival to its end.", request_buckets())),
      ttft_error_(m.histogram("sluice_ttft_prediction_error_ratio", "abs(actual - predicted) / actual of TTFT.",
                              kErrorBuckets)),
      tpot_error_(m.histogram("sluice_tpot_prediction_error_ratio", "abs(actual - predicted) / actual of TPOT.",
                              kErrorBuckets)),
      ttft_predicted_(m.histogram("sluice_ttft_predicted_seconds", "Predicted TTFT of requests that got a first token.",
                                  ttft_buckets())),
      tpot_predicted_(
          m.histogram("sluice_tpot_predicted_seconds", "Predicted TPOT of finished requests.", tpot_buckets())),
      stages_(
          m.histograms("sluice_stage_seconds", "Time of each stage of a request; stages overlap.", stage_buckets())),
      waiting_(m.gauge("sluice_requests_waiting",
                       "Legs whose computation has not begun: they wait for a place, or on a prefill node.")),
      running_(m.gauge("sluice_requests_running", "Legs whose computation has begun and that have not ended.")),
      prefill_nodes_(m.gauge("sluice_nodes", "Registered nodes.", {{"role", "prefill"}})),
      decode_nodes_(m.gauge("sluice_nodes", "Registered nodes.", {{"role", "decode"}})),
      prefix_blocks_(m.gauge("sluice_prefix_index_blocks", "KV blocks that nodes said they keep of prompts.")),
      prompt_(m.counter("sluice_prompt_tokens_total", "Prompt tokens of placed requests.")),
      output_(m.counter("sluice_output_tokens_total", "Tokens generated.")),
      resumes_(m.counter("sluice_resumes_total", "Times a request was placed again after a node failed.")),
      computed_(m.counters("sluice_prompt_tokens_placed_total",
                           "Prompt tokens of placed requests by the role of the node that computes them.")),
      local_(m.counters("sluice_local_prompts_total",
                        "Placed requests whose decode node computes the prompt: all of it, or from a cut on.")),
      decisions_(m.counters("sluice_decisions_total", "Placement decisions.")),
      ended_(m.counters("sluice_requests_total", "Ended legs by outcome.")),
      raw_bytes_(m.counters("sluice_kv_raw_bytes_total", "KV bytes before compression.")),
      wire_bytes_(m.counters("sluice_kv_wire_bytes_total", "KV bytes on the wire.")),
      slo_(m.counters("sluice_slo_requests_total",
                      "Ended requests by class and by whether both latency SLOs were met.")),
      objectives_(m.counters("sluice_slo_objectives_total",
                             "Ended requests by class, objective (ttft, tpot) and whether it was met.")),
      changes_(m.counters("sluice_kv_profile_changes_total", "Transfers that went on under another profile, by both.")),
      early_(m.counters("sluice_early_rejections_total",
                        "Requests refused for what decode nodes are expected to hold, before anything was computed.")),
      refused_(m.counters("sluice_requests_refused_total", "Legs refused before they were placed.")),
      promised_share_(
          m.gauges("sluice_slo_attainment_ratio", "Share of a class's requests that are to meet both objectives.")),
      promised_seconds_(m.gauges("sluice_slo_objective_seconds", "Latency objectives of a class (ttft, tpot).")),
      expected_share_(
          m.gauges("sluice_kv_forecast_ratio",
                   "Share of a decode node's KV blocks that its sequences are expected to hold at most at a "
                   "time, with doubt; nodes that take blocks as positions come.")),
      margin_share_(
          m.gauges("sluice_kv_margin_ratio",
                   "Share of a decode node's KV blocks that the forecast leaves free, as preemptions taught.")),
      vllm_(m, model, max_model_len) {}

void ServingMetrics::on_decision(const Session& s) {
  decisions_
      .with({{"prefill_node", s.run.prefill.value()},
             {"decode_node", s.run.decode.value()},
             {"profile", s.shown_profile()},
             {"reason", std::string(name(s.run.reason))}})
      .add();
  const double there = s.run.cut;
  computed_.with({{"role", "prefill"}}).add(there);
  computed_.with({{"role", "decode"}}).add(s.asked.features.prompt_tokens - there);
  if (!s.split()) local_.with({{"part", s.run.local ? "whole" : "rest"}}).add();
  if (s.run.number > 1) return;
  prompt_.add(s.asked.features.prompt_tokens);
  vllm_.on_prompt(s.asked.features.prompt_tokens);
}

void ServingMetrics::on_first_token(const Session& s) {
  const double t = s.ttft_s().value_or(0);
  output_.add();
  ttft_.observe(t, s.exemplar());
  vllm_.on_first_token(s, t);
  const double predicted = s.run.predicted_ttft_s + s.asked.features.waited_s;
  if (t <= 0 || s.run.predicted_ttft_s <= 0 || !s.undisturbed()) return;
  ttft_predicted_.observe(predicted);
  ttft_error_.observe(std::abs(t - predicted) / t);
}

void ServingMetrics::on_token_gap(const Session& s, double seconds) {
  output_.add();
  itl_.observe(seconds, s.exemplar());
  vllm_.on_token_gap(s, seconds);
}

void ServingMetrics::on_end(const Session& s, std::string_view outcome, double e2e_s) {
  ended_.with({{"outcome", std::string(outcome)}}).add();
  vllm_.on_end(s, outcome, e2e_s);
  if (s.seen.wire_bytes > 0) {
    const Labels profile{{"profile", s.seen.mixed ? "mixed" : s.run.profile}};
    raw_bytes_.with(profile).add(static_cast<double>(s.seen.raw_bytes));
    wire_bytes_.with(profile).add(static_cast<double>(s.seen.wire_bytes));
  }
  if (outcome == "stop" || outcome == "length") on_finished(s, e2e_s);
}

void ServingMetrics::on_finished(const Session& s, double e2e_s) {
  e2e_.observe(e2e_s, s.exemplar());
  const auto tpot = s.tpot_s();
  if (tpot) {
    tpot_.observe(*tpot, s.exemplar());
    if (s.run.predicted_tpot_s > 0 && s.undisturbed() && *tpot > 0) {
      tpot_predicted_.observe(s.run.predicted_tpot_s);
      tpot_error_.observe(std::abs(*tpot - s.run.predicted_tpot_s) / *tpot);
    }
  }
  count_slo(s);
  const std::array<double, kStages.size()> took{s.asked.features.waited_s + s.seen.node_queue_s,
                                                s.seen.prefill_s,
                                                s.seen.encode_s,
                                                s.seen.wire_s,
                                                s.seen.decode_s,
                                                s.seen.exposed_s,
                                                s.seen.local_queue_s,
                                                s.seen.local_s};
  for (std::size_t i = 0; i < took.size(); ++i) stage(i).observe(took[i]);
}

const Histogram& ServingMetrics::stage(std::size_t i) {
  if (!stage_[i]) stage_[i] = stages_.with({{"stage", kStages[i]}});
  return *stage_[i];
}

const std::vector<ServingMetrics::Kept>& ServingMetrics::kept(const std::string& slo_class) {
  // Both series begin at once: one that begins with its first miss shows Prometheus no increase for it.
  const auto both = [](const Counters& c, Labels labels) {
    labels["met"] = "true";
    const Counter met = c.with(labels);
    labels["met"] = "false";
    return Kept{met, c.with(labels)};
  };
  auto& all = kept_[slo_class];
  if (all.empty())
    all = {both(slo_, {{"class", slo_class}}), both(objectives_, {{"class", slo_class}, {"objective", "ttft"}}),
           both(objectives_, {{"class", slo_class}, {"objective", "tpot"}})};
  return all;
}

void ServingMetrics::count_slo(const Session& s) {
  const bool met[] = {s.met_objectives(), s.met_ttft(), s.met_tpot()};
  const auto& all = kept(s.asked.slo_class);
  for (std::size_t i = 0; i < all.size(); ++i) (met[i] ? all[i].met : all[i].missed).add();
}

void ServingMetrics::on_profile_change(const Session& s) {
  changes_.with({{"from", s.run.profile}, {"to", s.answer.change->to}}).add();
}

void ServingMetrics::on_refused(Refused why, std::string_view code) {
  if (why == Refused::no_room_soon || why == Refused::too_slow)
    early_.with({{"why", why == Refused::too_slow ? "speed" : "room"}}).add();
  if (why == Refused::waited_in_vain) return;
  refused_.with({{"code", std::string(code)}}).add();
}

void ServingMetrics::show_promises(const SloBook& slos) const {
  promised_share_.clear();
  promised_seconds_.clear();
  for (const auto& [name, slo] : slos.classes()) {
    promised_share_.with({{"class", name}}).set(slo.attainment);
    promised_seconds_.with({{"class", name}, {"objective", "ttft"}}).set(slo.ttft_s);
    promised_seconds_.with({{"class", name}, {"objective", "tpot"}}).set(slo.tpot_s);
  }
}

void ServingMetrics::show_forecast(const NodeRecord& n) const {
  if (!n.info.grows) return;
  const Labels node{{"decode_node", n.info.node.value()}};
  expected_share_.with(node).set(n.memory.peak() / std::max(n.info.total_blocks, 1U));
  margin_share_.with(node).set(n.memory.margin());
}

void ServingMetrics::refresh(const ClusterView& view, const LegCounts& legs, const SloBook& slos) const {
  show_promises(slos);
  waiting_.set(static_cast<double>(legs.waiting));
  running_.set(static_cast<double>(legs.running));
  VllmMetrics::KvCache kv;
  double up[2] = {0, 0};
  for (const auto& [id, n] : view.nodes()) {
    up[n.info.role == control::Role::decode ? 1 : 0] += 1;
    if (n.info.role != control::Role::decode) continue;
    show_forecast(n);
    kv.blocks += n.info.total_blocks;
    kv.used += std::min(n.reserved_blocks, n.info.total_blocks);  // parked ones hold none now
    kv.block_size = n.info.block_size;
  }
  prefill_nodes_.set(up[0]);
  decode_nodes_.set(up[1]);
  prefix_blocks_.set(static_cast<double>(view.prefixes().size()));
  vllm_.refresh(legs, kv, view.preemptions());
}

}  // namespace sluice::coordinator
