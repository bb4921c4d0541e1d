#pragma once
// `sluicectl slo`: shows, changes, removes and explains the service's objectives. Start-up only.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/flags/flags.h"
#include "coordinator/ctl/command_line.h"

namespace sluice::ctl {

struct SloChange {
  std::string name = "default";
  std::optional<double> ttft_ms, tpot_ms, attainment, quality_kl;
  std::string objective;
  std::optional<int> priority;
  std::optional<bool> seeded_lossy;

  [[nodiscard]] nlohmann::json body() const;
};

/// `c` and `change` outlive the command.
void add_slo(flags::App& app, const Common& c, Body& chosen, SloChange& change);

}  // namespace sluice::ctl
