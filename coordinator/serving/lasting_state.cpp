#include "coordinator/serving/lasting_state.h"

#include "common/log.h"

namespace sluice::coordinator {

nlohmann::json LastingState::save() const {
  return {{"policy", parts_.placement.save()},
          {"outputs", parts_.lengths.save()},
          {"slo", parts_.slos.to_json()},
          {"configured", {{"slo", configured_}}},
          {"quality", parts_.quality.save()}};
}

namespace {

void used(const char* what, const Result<>& r) {
  if (!r) log::warn(what, {{"why", r.error().message}});
}

/// What the flags were when the state was saved; null in a state of an earlier version.
nlohmann::json configured_then(const nlohmann::json& state) {
  const auto configured = state.find("configured");
  return configured != state.end() && configured->is_object() ? configured->value("slo", nlohmann::json()) : nullptr;
}

}  // namespace

void LastingState::load_objectives(const nlohmann::json& state) {
  if (auto taken = parts_.slos.restore(state["slo"]); !taken) return used("SLO classes not used", taken);
  const nlohmann::json then = configured_then(state);
  const nlohmann::json kept = slo_json(parts_.slos.defaults());
  nlohmann::json changed = nlohmann::json::object();
  for (const auto& [name, ours] : configured_.items()) {
    if (kept[name] == ours) continue;
    if (then.is_object() && then.contains(name) && then[name] != ours) {
      changed[name] = ours;
      log::info("objective of the flags in force: they changed since the state file was written",
                {{"objective", name}, {"in_force", ours.dump()}, {"state_file", kept[name].dump()}});
    } else {
      log::info("objective of the state file in force, not the flags'; sluicectl slo set changes it",
                {{"objective", name}, {"in_force", kept[name].dump()}, {"flags", ours.dump()}});
    }
  }
  if (changed.empty()) return;
  if (auto set = parts_.slos.change(kDefaultClass, changed); !set)
    used("objectives of the flags not used", std::unexpected(set.error()));
}

void LastingState::adopt(const nlohmann::json& state) {
  const TimePoint now = clock_.now();
  if (const auto policy = state.find("policy"); policy != state.end()) parts_.placement.adopt(*policy, now);
  const auto quality = state.find("quality");
  if (quality == state.end() || quality->empty()) return;
  for (const auto& of_model : *quality) parts_.quality.adopt(of_model, now);
  parts_.quality_changed();
}

void LastingState::load(const nlohmann::json& state) {
  const TimePoint now = clock_.now();
  if (state.contains("slo")) load_objectives(state);
  if (state.contains("quality")) parts_.quality.load(state["quality"], now);
  if (state.contains("outputs")) used("output lengths not used", parts_.lengths.load(state["outputs"]));
  if (state.contains("policy")) used("learned state not used", parts_.placement.load(state["policy"], now));
}

}  // namespace sluice::coordinator
