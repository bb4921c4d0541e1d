#pragma once
// The findings as people and as programs read them, and the exit code they mean. Pure.
#include <nlohmann/json.hpp>
#include <string>

#include "coordinator/ctl/doctor/finding.h"

namespace sluice::ctl::doctor {

struct Report {
  Findings findings;
  /// What was measured, for --json: "canary", "links", "pd"; absent where it was not.
  nlohmann::json measured = nlohmann::json::object();
};

[[nodiscard]] Severity worst(const Findings& all);
/// 0: nothing above a note. 1: warnings. 2: errors.
[[nodiscard]] int exit_code(const Findings& all);

/// By area in order of appearance, the worst first within each. colour: with the terminal's escape sequences. What
/// others said (names, words) cannot steer the terminal.
[[nodiscard]] std::string report_text(const Report& r, bool colour);
[[nodiscard]] nlohmann::json report_json(const Report& r);

}  // namespace sluice::ctl::doctor
