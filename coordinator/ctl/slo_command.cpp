#include "coordinator/ctl/slo_command.h"

#include <fmt/format.h>

#include <string_view>

#include "coordinator/ctl/views.h"

namespace sluice::ctl {
namespace {

using nlohmann::json;

/// Sends or asks, and shows the answer.
Result<int> show_slo(const Common& c, const char* method, const std::string& path, const json& body,
                     std::string (*view)(const json&)) {
  SLUICE_ASSIGN(const auto e, c.endpoint());
  const std::string target = "/sluice/v1/slo" + path;
  SLUICE_ASSIGN(const auto j, method == std::string_view("GET") ? get(e, target) : send(e, method, target, body));
  if (c.json)
    print(j);
  else
    fmt::print("{}", view(j));
  return 0;
}

}  // namespace

json SloChange::body() const {
  json j = json::object();
  if (ttft_ms) j["ttft_ms"] = *ttft_ms;
  if (tpot_ms) j["tpot_ms"] = *tpot_ms;
  if (attainment) j["attainment"] = *attainment;
  if (quality_kl) j["quality_kl"] = *quality_kl;
  if (!objective.empty()) j["objective"] = objective;
  if (priority) j["priority"] = *priority;
  if (seeded_lossy) j["seeded_lossy"] = *seeded_lossy;
  return j;
}

void add_slo(flags::App& app, const Common& c, Body& chosen, SloChange& change) {
  flags::App* s = app.add_subcommand("slo", "The service's objectives, by class");
  s->require_subcommand(1)->fallthrough();
  command(*s, chosen, "get", "Show them", [&] { return show_slo(c, "GET", "", {}, slo_classes_text); });
  flags::App* set = command(*s, chosen, "set", "Change a class, or make one", [&]() -> Result<int> {
    json body = change.body();
    if (body.empty()) return fail(Errc::invalid_argument, "say what to set");
    body["class"] = change.name;
    return show_slo(c, "PUT", "", body, slo_classes_text);
  });
  set->add_option("--ttft-ms", change.ttft_ms, "Time to first token");
  set->add_option("--tpot-ms", change.tpot_ms, "Time per output token");
  set->add_option("--attainment", change.attainment, "Share of requests that must meet both");
  set->add_option("--quality-kl", change.quality_kl, "Mean KL to bf16 KV, nats per token");
  set->add_option("--objective", change.objective,
                  "quality: the least lossy profile that meets the objectives; latency: the fastest within the budget")
      ->check(flags::one_of({"quality", "latency"}));
  set->add_option("--priority", change.priority, "Smaller is served sooner");
  set->add_option("--seeded-lossy", change.seeded_lossy,
                  "true: requests with a seed may use lossy profiles; the same seed may then give another answer");
  flags::App* remove = command(*s, chosen, "remove", "Remove a class",
                               [&] { return show_slo(c, "DELETE", "/" + change.name, {}, slo_classes_text); });
  flags::App* explain =
      command(*s, chosen, "explain", "Which objectives the nodes and links can reach, what binds, what to change",
              [&] { return show_slo(c, "GET", "/explain/" + change.name, {}, slo_explain_text); });
  set->add_option("class", change.name, "Its name")->capture_default_str();
  explain->add_option("class", change.name, "Its name")->capture_default_str();
  remove->add_option("class", change.name, "Its name")->required();
}

}  // namespace sluice::ctl
