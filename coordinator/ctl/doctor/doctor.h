#pragma once
// `sluicectl doctor`: looks at this host before anything serves, and at a running cluster; says what is wrong, why it
// matters and what to set (docs/doctor.md). Gathering asks programs, files and nodes; judging is pure and apart from
// it. Threading: the caller's thread waits. Failure: none of what it looks at is one; all of that is told as findings.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/ctl/api.h"
#include "coordinator/ctl/doctor/certificates.h"
#include "coordinator/ctl/doctor/cluster.h"
#include "coordinator/ctl/doctor/pd.h"
#include "coordinator/ctl/doctor/report.h"

namespace sluice::ctl::doctor {

/// What is meant to run on this host.
struct HostPlan {
  std::string model, ucx_tls, ucx_net_devices;  // empty: not said
  std::uint64_t nodes = 1, threads = 0, kv_memory_mib = 0;
  std::uint64_t max_connections = 4096;
  std::vector<std::string> listen;
  bool several_machines = false;
};

struct Options {
  bool host_only = false;
  HostPlan host;
  CertificateFiles certificates;
  std::optional<Endpoint> cluster;  // none: this host only
  std::vector<Expected> expected;
  std::string slo_class = "default";
  bool canary = true, perftest = true, pd = false;
  PdOptions pd_options;
  double node_timeout_s = 3;
  bool json = false;
};

/// Findings that say the same of several subjects become one.
[[nodiscard]] Findings merged(const Findings& all);
/// Everything, without printing.
[[nodiscard]] Report examine(const Options& o);
/// Prints it; the exit code of report.h.
[[nodiscard]] int run(const Options& o);

}  // namespace sluice::ctl::doctor
