#include "coordinator/ctl/doctor/canary.h"

#include <fmt/format.h>

#include <algorithm>

#include "coordinator/ctl/table.h"
#include "coordinator/ctl/views.h"

namespace sluice::ctl::doctor {
namespace {

using nlohmann::json;

constexpr double kFarOff = 2;  // times the prediction, or as many times less
constexpr double kNoise = 10;  // ms that no prediction is blamed for

std::optional<double> positive(const json& j, const char* key) {
  const double v = number(j, key);
  return v > 0 ? std::optional(v) : std::nullopt;
}

std::string stages_text(const json& explained) {
  std::string out;
  const json stages = object_at(explained, "stages_ms");
  for (const char* stage : {"queue", "prefill", "encode", "wire", "decode"})
    if (number(stages, stage) > 0)
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", stage, millis_at(stages, stage));
  return out;
}

std::string answer_text(const Answer& a) {
  const json& x = a.explained;
  return fmt::format("first token after {} (predicted {}), then {} a token; {} -> {}, profile {}; {}",
                     millis_text(a.ttft_ms), millis_at(x, "predicted_ttft_ms"), millis_text(a.tpot_ms()),
                     word(x, "prefill_node"), word(x, "decode_node"), word(x, "profile"), stages_text(x));
}

/// The stage that took longest.
std::string slowest(const json& explained) {
  std::string name = "none";
  double most = 0;
  const json stages = object_at(explained, "stages_ms");
  for (const auto& [stage, ms] : stages.items())
    if (ms.is_number() && ms.get<double>() > most) {
      most = ms.get<double>();
      name = stage;
    }
  return name;
}

json answer_json(const Answer& a) {
  return {{"ttft_ms", a.ttft_ms}, {"tpot_ms", a.tpot_ms()}, {"sluice", a.explained}};
}

}  // namespace

CanaryFacts run_canary(const Endpoint& e, const std::string& slo_class) {
  CanaryFacts c;
  c.slo_class = slo_class;
  const auto fill = [&]() -> Result<> {
    SLUICE_ASSIGN(const json slos, get(e, "/sluice/v1/slo"));
    const json of_class = object_at(object_at(slos, "classes"), slo_class.c_str());
    if (of_class.empty())
      return fail(Errc::not_found, "there is no class '{}' of objectives; `sluicectl slo get` shows them", slo_class);
    c.slo_ttft_ms = positive(of_class, "ttft_ms");
    c.slo_tpot_ms = positive(of_class, "tpot_ms");
    SLUICE_ASSIGN(const Asker asker, Asker::look_at(e));
    const Question q{.prompt_tokens = std::min<std::uint64_t>(64, std::max<std::uint64_t>(1, asker.max_tokens() / 2)),
                     .output_tokens = std::min<std::uint64_t>(16, std::max<std::uint64_t>(1, asker.max_tokens() / 4))};
    SLUICE_ASSIGN(c.first, asker.ask(q));
    SLUICE_ASSIGN(c.second, asker.ask(q));
    return {};
  };
  if (auto done = fill(); !done) c.error = done.error();
  return c;
}

Findings judge_canary(const CanaryFacts& c) {
  Notebook n("Canary", "");
  if (c.error) {
    n.error("canary", fmt::format("a small request failed: {}", c.error->message),
            "what a canary meets, every client meets",
            "what the message says; `sluicectl decisions` shows what was tried");
    return n.take();
  }
  n.about("first request");
  n.ok("canary", answer_text(c.first));
  n.about("second request");
  n.ok("canary", answer_text(c.second));
  const auto over = [&](const char* id, const char* what, double ms, std::optional<double> slo, const char* flag) {
    if (slo && ms > *slo)
      n.warning(
          id, fmt::format("{} was {}, class {} promises {}", what, millis_text(ms), c.slo_class, millis_text(*slo)),
          fmt::format(
              "an idle cluster that misses its objective will miss it under load, too; the longest stage was {}",
              slowest(c.second.explained)),
          fmt::format("faster or more nodes, or sluicectl slo set {} {} to what can be kept (sluicectl slo explain {})",
                      c.slo_class, flag, c.slo_class));
  };
  over("canary-ttft", "time to first token", c.second.ttft_ms, c.slo_ttft_ms, "--ttft-ms");
  over("canary-tpot", "time per token", c.second.tpot_ms(), c.slo_tpot_ms, "--tpot-ms");
  const double predicted = number(c.second.explained, "predicted_ttft_ms");
  const double took = number(c.second.explained, "ttft_ms");
  if (predicted > 0 && took > 0 && std::abs(predicted - took) > kNoise &&
      (took > kFarOff * predicted || predicted > kFarOff * took))
    n.note("canary-prediction",
           fmt::format("the first token was predicted after {}, it took {}", millis_text(predicted), millis_text(took)),
           "placement goes by predictions; they are learned from requests, and are rough on a cluster that has served "
           "few");
  return n.take();
}

json canary_json(const CanaryFacts& c) {
  if (c.error) return {{"error", c.error->message}};
  return {{"class", c.slo_class},
          {"slo_ttft_ms", c.slo_ttft_ms ? json(*c.slo_ttft_ms) : json()},
          {"slo_tpot_ms", c.slo_tpot_ms ? json(*c.slo_tpot_ms) : json()},
          {"first", answer_json(c.first)},
          {"second", answer_json(c.second)}};
}

}  // namespace sluice::ctl::doctor
