#pragma once
// What a machine's facts mean for Sluice. Pure: facts in, findings out.
#include <string>
#include <string_view>

#include "coordinator/ctl/doctor/finding.h"
#include "coordinator/ctl/doctor/machine.h"

namespace sluice::ctl::doctor {

/// What is to run, or runs, on a machine.
struct Load {
  double nodes = 1;
  double threads = 0;          // of all of them; 0: each takes all cores
  double max_connections = 0;  // of a coordinator; 0: none runs here
};

/// Processor, memory, clock: alike for all processes of the machine.
[[nodiscard]] Findings judge_machine(const Machine& m, const Load& load, const std::string& area,
                                     const std::string& subject);
/// UCX, network devices, limits: this process's own.
[[nodiscard]] Findings judge_fabric(const Machine& m, const std::string& area, const std::string& subject);
[[nodiscard]] Findings judge_limits(const Machine& m, const Load& load, const std::string& area,
                                    const std::string& subject);
[[nodiscard]] Findings judge_model(const Machine& m, const std::string& area, const std::string& subject);

/// Whether a list for --ucx-tls names one of RDMA's transports.
[[nodiscard]] bool names_rdma(std::string_view tls);
/// Whether it names shared memory.
[[nodiscard]] bool names_shared_memory(std::string_view tls);
/// The interface of a lane or UCX device: "tcp/eth0" and "eth0" give eth0's; null when there is none.
[[nodiscard]] const Interface* interface_of(const Machine& m, std::string_view lane);

}  // namespace sluice::ctl::doctor
