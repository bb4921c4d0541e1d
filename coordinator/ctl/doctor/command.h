#pragma once
// The flags of `sluicectl doctor`, and what the local cluster's state adds to them. Threading: start-up.
#include "common/flags/flags.h"
#include "coordinator/ctl/doctor/doctor.h"
#include "coordinator/ctl/run_dir.h"

namespace sluice::ctl::doctor {

/// As they are written on the command line.
struct CommandLine {
  Options options;
  std::vector<std::string> expected;
  std::vector<double> prompts;
  bool no_canary = false, no_perftest = false;
};

void add_flags(flags::App& command, CommandLine& line);

/// The options with what stands in `local`, the state of a cluster that `up` started, if it is the one to be asked.
[[nodiscard]] Options with_cluster(const CommandLine& line, std::optional<Endpoint> cluster,
                                   const std::optional<ClusterState>& local, const RunDir& dir);

}  // namespace sluice::ctl::doctor
