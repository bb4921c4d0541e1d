#pragma once
// A canary: two small requests through the real API. The first warms what is cold; the second is held against its own
// prediction and the class's objectives. Judging is pure. Threading: run_canary() blocks.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "coordinator/ctl/doctor/asker.h"
#include "coordinator/ctl/doctor/finding.h"

namespace sluice::ctl::doctor {

struct CanaryFacts {
  std::optional<Error> error;  // a request failed
  Answer first, second;
  std::string slo_class;
  std::optional<double> slo_ttft_ms, slo_tpot_ms;  // of that class
};

[[nodiscard]] CanaryFacts run_canary(const Endpoint& e, const std::string& slo_class);
[[nodiscard]] Findings judge_canary(const CanaryFacts& c);
[[nodiscard]] nlohmann::json canary_json(const CanaryFacts& c);

}  // namespace sluice::ctl::doctor
