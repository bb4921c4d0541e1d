#include "coordinator/serving/lasting_state.h"

#include "common/log.h"

namespace sluice::coordinator {

nlohmann::json LastingState::save() const {
  return {{"policy", parts_.placement.save()},
          {"outputs", parts_.lengths.save()},
          {"slo", parts_.slos.to_json()},
          {"quality", parts_.quality.save()}};
}

void LastingState::load(const nlohmann::json& state) {
  const TimePoint now = clock_.now();
  const auto used = [](const char* what, const Result<>& r) {
    if (!r) log::warn(what, {{"why", r.error().message}});
  };
  if (state.contains("slo")) used("SLO classes not used", parts_.slos.restore(state["slo"]));
  if (state.contains("quality")) parts_.quality.load(state["quality"], now);
  if (state.contains("outputs")) used("output lengths not used", parts_.lengths.load(state["outputs"]));
  if (state.contains("policy")) used("learned state not used", parts_.placement.load(state["policy"], now));
}

}  // namespace sluice::coordinator
