#include "coordinator/serving/decision_entry.h"

#include <nlohmann/json.hpp>

namespace sluice::coordinator {
namespace {

using nlohmann::json;

/// What became of a leg that no node was chosen for.
std::string_view unplaced_reason(const Session& s) { return s.end.error ? "refused" : "cancelled"; }

/// What the model said each stage would take; stages overlap.
json predicted_stages(const StageTimes& t) {
  return {{"queue", t.queue_s * 1e3},         {"prefill", t.prefill_s * 1e3}, {"encode", t.encode_s * 1e3},
          {"wire", t.wire_s * 1e3},           {"decode", t.decode_s * 1e3},   {"first_step", t.first_s * 1e3},
          {"link_wait", t.link_wait_s * 1e3}, {"fixed", t.fixed_s * 1e3},     {"local_queue", t.local_queue_s * 1e3},
          {"local", t.local_s * 1e3}};
}

/// What the nodes measured of them; `exposed` is what of the transfer came after the computation.
json measured_stages(const Figures& f) {
  return {{"queue", f.node_queue_s * 1e3}, {"prefill", f.prefill_s * 1e3},         {"encode", f.encode_s * 1e3},
          {"wire", f.wire_s * 1e3},        {"decode", f.decode_s * 1e3},           {"first_step", f.first_step_s * 1e3},
          {"exposed", f.exposed_s * 1e3},  {"local_queue", f.local_queue_s * 1e3}, {"local", f.local_s * 1e3}};
}

json error_json(const std::optional<Error>& e) {
  return e ? json{{"code", name(e->code)}, {"message", e->message}} : json(nullptr);
}

json ms(std::optional<double> seconds) { return seconds ? json(*seconds * 1e3) : json(nullptr); }

json or_null(bool known, json value) { return known ? std::move(value) : json(nullptr); }

}  // namespace

DecisionEntry DecisionEntry::of(const Session& s, std::string_view outcome, double now_unix_s) {
  const RequestFeatures& f = s.asked.features;
  const bool placed = s.run.number > 0;
  return {.time = now_unix_s,
          .request_id = s.asked.spec.request_id,
          .tenant = s.asked.spec.tenant,
          .outcome = std::string(outcome),
          .slo_class = s.asked.slo_class,
          .choice = s.asked.spec.choice,
          .placed = placed,
          .local = s.run.local,
          .pinned = s.asked.spec.profile.has_value(),
          .prefill = s.run.prefill,
          .decode = s.run.decode,
          .mode = s.mode(),
          .reason = placed ? name(s.run.reason) : unplaced_reason(s),
          .cut = s.run.cut,
          .profile = s.shown_profile(),
          .changed_to = s.answer.change ? s.answer.change->to : std::string(),
          .error = s.end.error,
          .considered = s.run.considered,
          .output_tokens = s.answer.emitted.size(),
          .prompt_tokens = f.prompt_tokens,
          .quality_budget = f.quality_budget,
          .ttft_slo_s = f.ttft_slo_s,
          .tpot_slo_s = f.tpot_slo_s,
          .waited_s = f.waited_s,
          .predicted_ttft_s = s.run.predicted_ttft_s,
          .predicted_tpot_s = s.run.predicted_tpot_s,
          .ttft_s = s.ttft_s(),
          .tpot_s = s.tpot_s(),
          .resumes = s.answer.resumes,
          .moves = s.moves.over,
          .kl = s.run.kl,
          .chance = s.run.chosen.chance,
          .link_bps = s.run.chosen.link_bps,
          .predicted = s.run.chosen.stages,
          .measured = s.seen};
}

json to_json(const DecisionEntry& e, std::uint64_t seq) {
  json j{{"seq", seq},
         {"time", e.time},
         {"request_id", e.request_id},
         {"tenant", e.tenant},
         {"choice_index", e.choice},
         {"prefill_node", or_null(e.placed && !e.local, e.prefill.value())},
         {"decode_node", or_null(e.placed, e.decode.value())},
         {"mode", e.mode},
         {"cut", or_null(e.placed, e.cut)},
         {"profile", or_null(e.placed, e.profile)},
         {"changed_to", or_null(!e.changed_to.empty(), e.changed_to)},
         {"reason", e.reason},
         {"error", error_json(e.error)},
         {"considered", e.considered},
         {"pinned", e.pinned},
         {"quality_budget", e.quality_budget},
         {"prompt_tokens", e.prompt_tokens},
         {"output_tokens", e.output_tokens},
         {"kv_raw_bytes", e.measured.raw_bytes},
         {"kv_wire_bytes", e.measured.wire_bytes},
         {"predicted_ttft_ms", or_null(e.predicted_ttft_s > 0, (e.predicted_ttft_s + e.waited_s) * 1e3)},
         {"ttft_ms", ms(e.ttft_s)},
         {"predicted_tpot_ms", or_null(e.predicted_tpot_s > 0, e.predicted_tpot_s * 1e3)},
         {"tpot_ms", ms(e.tpot_s)},
         {"slo_class", e.slo_class},
         {"slo_ttft_ms", e.ttft_slo_s * 1e3},
         {"slo_tpot_ms", e.tpot_slo_s * 1e3},
         {"resumes", e.resumes},
         {"moves", moves_json(e.moves)},
         {"outcome", e.outcome}};
  if (!e.placed) return j;
  j["kl"] = e.kl;
  j["chance"] = e.chance;
  if (!e.local) j["link_bps"] = e.link_bps;
  j["predicted_stages_ms"] = predicted_stages(e.predicted);
  j["stages_ms"] = measured_stages(e.measured);
  return j;
}

}  // namespace sluice::coordinator
