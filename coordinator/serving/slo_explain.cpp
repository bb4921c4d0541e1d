#include "coordinator/serving/slo_explain.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "coordinator/policy/slo_book.h"

namespace sluice::coordinator {
namespace {

using nlohmann::json;

constexpr double kNoLimit = 1e6;  // s, of an objective that another one's search should not mind
constexpr double kUsualPrompt = 1024, kUsualOutput = 128;  // when nothing was served yet

ClusterSnapshot idle(ClusterSnapshot c) {
  for (auto& p : c.prefills) p.queued_tokens = p.others_tokens = 0;
  for (auto& d : c.decodes) {
    d.seqs = 0;
    d.local_tokens = d.others_tokens = 0;
    d.free_blocks = d.total_blocks;
    d.memory.clear();
    d.closed = false;
  }
  for (auto& l : c.links) l.backlog_bytes = 0;
  c.topology = 0;
  return c;
}

struct Stage {
  const char* name;
  double s;
  const char* remedy;
};

/// The stage that takes most of a candidate's way.
Stage binding(const StageTimes& t) {
  const Stage all[] = {{"queue", std::max(t.queue_s, t.link_wait_s), "add prefill nodes, or admit fewer requests"},
                       {"prefill", t.prefill_s, "faster prefill nodes or shorter prompts"},
                       {"encode", t.encode_s, "a faster codec, or more export workers on the prefill nodes"},
                       {"wire", t.wire_s, "a faster link, or a profile with a higher ratio"},
                       {"decode", t.decode_s, "a faster codec on the decode nodes"},
                       {"first step", t.first_s, "fewer sequences on each decode node"},
                       {"local queue", t.local_queue_s, "add prefill nodes, or decode nodes"},
                       {"local prefill", t.local_s, "faster decode nodes, or prefill nodes that are faster than these"},
                       {"fixed", t.fixed_s, "nothing here: messages and waking threads"}};
  return *std::ranges::max_element(all, {}, &Stage::s);
}

json candidate_json(const Candidate& k, const ClusterSnapshot& c) {
  const StageTimes& t = k.stages;
  return {{"ttft_ms", k.predicted_ttft_s * 1e3},
          {"tpot_ms", k.predicted_tpot_s * 1e3},
          {"chance", k.chance},
          {"prefill_node", k.local ? json(nullptr) : json(c.prefills[k.prefill].id.value())},
          {"decode_node", c.decodes[k.decode].id.value()},
          {"profile", k.local ? "none" : c.profiles[k.profile].name},
          {"cut", k.cut},
          {"stages_ms",
           {{"queue", t.queue_s * 1e3},
            {"prefill", t.prefill_s * 1e3},
            {"encode", t.encode_s * 1e3},
            {"wire", t.wire_s * 1e3},
            {"link_wait", t.link_wait_s * 1e3},
            {"decode", t.decode_s * 1e3},
            {"first_step", t.first_s * 1e3},
            {"local_queue", t.local_queue_s * 1e3},
            {"local", t.local_s * 1e3},
            {"fixed", t.fixed_s * 1e3}}}};
}

/// Sequences one decode node can hold within the TPOT objective.
std::uint32_t most_seqs(ClusterSnapshot c, const RequestFeatures& r, Placement& placement, TimePoint now) {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  for (const auto& d : c.decodes) high = std::max(high, d.max_seqs);
  while (low < high) {
    const std::uint32_t mid = low + (high - low + 1) / 2;
    for (auto& d : c.decodes) d.seqs = std::min(mid, d.max_seqs) - 1;
    const auto k = placement.preview(c, r, now);
    if (k && k->predicted_tpot_s <= r.tpot_slo_s)
      low = mid;
    else
      high = mid - 1;
  }
  return low;
}

std::string ms(double s) { return fmt::format("{:.3g} ms", s * 1e3); }

/// The least objective of this kind that such requests meet as often as asked for, or nothing when it is not this one
/// that keeps them from it.
std::optional<double> within_reach(const ClusterSnapshot& c, RequestFeatures r, double RequestFeatures::* objective,
                                   double from_s, double attainment, Placement& placement, TimePoint now) {
  constexpr double kStep = 1.05, kMost = 64;
  for (double factor = 1; factor < kMost; factor *= kStep) {
    r.*objective = from_s * factor;
    const auto k = placement.preview(c, r, now);
    if (k && k->chance >= attainment) return r.*objective;
  }
  return std::nullopt;
}

/// "; --ttft-ms 47 is within reach", rounded up.
std::string reach_text(const char* flag, const std::optional<double>& s) {
  if (!s) return {};
  const double digit = std::pow(10, std::floor(std::log10(*s * 1e3)) - 1);
  return fmt::format("; {} {:g} is within reach", flag, std::ceil(*s * 1e3 / digit) * digit);
}

/// A profile beyond the budget that would make it, if there is one.
void advise_quality(const ClusterSnapshot& c, RequestFeatures r, Placement& placement, TimePoint now, json& advice) {
  r.quality_budget = INFINITY;
  const auto k = placement.preview(c, r, now);
  if (k && !k->local && k->predicted_ttft_s <= r.ttft_slo_s)
    advice.push_back(fmt::format("--quality-kl {:g} would allow profile {}: TTFT {}", k->kl,
                                 c.profiles[k->profile].name, ms(k->predicted_ttft_s)));
}

}  // namespace

json explain_slo(const std::string& name, const Slo& slo, const RecentRequests& recent, const ClusterSnapshot& c,
                 Placement& placement, TimePoint now) {
  RequestFeatures r;
  r.prompt_tokens = static_cast<std::uint32_t>(recent.prompt_tokens > 0 ? recent.prompt_tokens : kUsualPrompt);
  r.max_new_tokens = static_cast<std::uint32_t>(recent.output_tokens > 0 ? recent.output_tokens : kUsualOutput);
  r.ttft_slo_s = slo.ttft_s;
  r.tpot_slo_s = slo.tpot_s;
  r.quality_budget = slo.quality_kl;
  json out{{"class", name}, {"slo", slo_json(slo)}, {"prompt_tokens", r.prompt_tokens}};
  out["recent"] = {{"finished", recent.finished}, {"met", recent.met}};
  json advice = json::array();
  const ClusterSnapshot quiet = idle(c);
  const auto alone = placement.preview(quiet, r, now);
  out["reachable"] = false;
  if (!alone) {
    out["binds"] = "no candidate";
    advice.push_back("no prefill and decode node with room for such a request, or no profile within --quality-kl");
    out["advice"] = advice;
    return out;
  }
  out["idle"] = candidate_json(*alone, quiet);
  const bool ttft_ok = alone->predicted_ttft_s <= slo.ttft_s;
  const bool tpot_ok = alone->predicted_tpot_s <= slo.tpot_s;
  out["reachable"] = alone->chance >= slo.attainment;
  const Stage slowest = binding(alone->stages);
  const auto ttft_reach = [&] {
    RequestFeatures patient = r;
    if (!tpot_ok) patient.tpot_slo_s = kNoLimit;
    return reach_text("--ttft-ms", within_reach(quiet, patient, &RequestFeatures::ttft_slo_s, alone->predicted_ttft_s,
                                                slo.attainment, placement, now));
  };
  if (!ttft_ok) {
    out["binds"] = slowest.name;
    advice.push_back(fmt::format("even idle, TTFT is {}: {} takes {}; {}{}", ms(alone->predicted_ttft_s), slowest.name,
                                 ms(slowest.s), slowest.remedy, ttft_reach()));
    advise_quality(quiet, r, placement, now, advice);
  } else if (alone->chance < slo.attainment) {
    advice.push_back(
        fmt::format("idle, a request meets both with probability {:.3f}, below the target {:g}, for the spread seen{}",
                    alone->chance, slo.attainment, tpot_ok ? ttft_reach() : ""));
  }
  if (!tpot_ok) {
    out["binds"] = "decode step";
    RequestFeatures patient = r;
    if (!ttft_ok) patient.ttft_slo_s = kNoLimit;
    const auto reach = within_reach(quiet, patient, &RequestFeatures::tpot_slo_s, alone->predicted_tpot_s,
                                    slo.attainment, placement, now);
    advice.push_back(fmt::format("even alone, TPOT is {}: a decode node's step is slower; faster decode nodes{}",
                                 ms(alone->predicted_tpot_s), reach_text("--tpot-ms", reach)));
  } else {
    const std::uint32_t seqs = most_seqs(quiet, r, placement, now);
    out["max_seqs_per_decode_node"] = seqs;
    for (const auto& d : c.decodes)
      if (d.max_seqs > seqs) {
        advice.push_back(fmt::format("TPOT holds up to {} sequences on a decode node; beyond, add decode nodes", seqs));
        break;
      }
  }
  const auto present = placement.preview(c, r, now);
  if (!present) {
    out["binds"] = "decode room";
    advice.push_back("every decode node is full now: add decode nodes, or lower max_tokens");
  } else {
    out["now"] = candidate_json(*present, c);
    if (ttft_ok && present->predicted_ttft_s > slo.ttft_s) {
      const Stage busy = binding(present->stages);
      out["binds"] = busy.name;
      advice.push_back(fmt::format("under the present load TTFT is {}: {} takes {}; {}", ms(present->predicted_ttft_s),
                                   busy.name, ms(busy.s), busy.remedy));
    }
  }
  if (!out.contains("binds")) out["binds"] = slowest.name;
  if (recent.finished >= 20 && static_cast<double>(recent.met) < slo.attainment * static_cast<double>(recent.finished))
    advice.push_back(fmt::format("{} of the last {} requests met it, fewer than the target {:g}", recent.met,
                                 recent.finished, slo.attainment));
  out["advice"] = advice;
  return out;
}

}  // namespace sluice::coordinator
