#pragma once
// A test's figures for those who read them: JSON for scripts, text for a terminal, a page for a browser. Pure.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/ctl/load/ramp.h"
#include "coordinator/ctl/load/stats.h"

namespace sluice::ctl::load {

struct Report {
  std::vector<std::pair<std::string, std::string>> setup;  // name, value: command, server, model, ...
  std::vector<Step> steps;                                 // one, or one for each rate of a ramp
  bool ramp = false;
  std::optional<Knee> knee;
  double share = 0.9;      // of attainment, for the knee
  bool open_loop = false;  // latencies count from when a request was due
  std::vector<std::string> further_notes;
};

/// What must be known to read the figures right.
[[nodiscard]] std::vector<std::string> notes_of(const Report& r);
/// What the ramp says, in words.
[[nodiscard]] std::string knee_text(const Report& r);
/// "usage", "chunks" or "mixed".
[[nodiscard]] std::string token_source(const LoadSummary& s);

[[nodiscard]] nlohmann::json bench_json(const LoadSummary& s);
[[nodiscard]] nlohmann::json report_json(const Report& r);
[[nodiscard]] std::string bench_text(const LoadSummary& s);
[[nodiscard]] std::string report_text(const Report& r);
/// One file without scripts or anything from elsewhere.
[[nodiscard]] std::string report_html(const Report& r);

}  // namespace sluice::ctl::load
