#pragma once
// `sluicectl simulate`: one simulated run, a registered experiment with its comparators, or a search for the split of
// nodes that gives the most goodput. Reads traces and descriptions, prints a table or JSON, writes plots. Failure:
// those of the readers, in words.
#include <string>
#include <vector>

#include "common/result.h"
#include "coordinator/sim/experiment.h"

namespace sluice::ctl {

struct SimulateOptions {
  std::string experiment;  // JSON; runs all its scenarios and policies, and nothing below but out and json counts
  std::string scenario;    // JSON object as in an experiment's base; the flags below win over it
  std::string policy = "sluice";  // a search takes several, with commas
  std::string trace;
  double time_scale = 1;
  std::string model, prefill_hardware, decode_hardware, profiles;
  std::size_t prefill = 0, decode = 0, requests = 0;
  double link_gbps = 0, rate = 0, burstiness = 0, input_len = 0, output_len = 0;
  std::vector<double> slo_ttft_ms, slo_tpot_ms;  // a search takes several
  double max_tpot_ms = 0, quality_kl = -1;
  std::string objective;
  bool no_admission = false;
  bool moves = false;
  std::vector<std::string> memory;  // several are compared on the same load
  bool hidden_lengths = false;
  std::size_t max_tokens = 0, context_tokens = 0;
  double decode_kv_gb = 0;
  bool search = false;
  std::vector<std::string> hardware;  // of a search: name or file, and with a colon its price per hour
  std::size_t nodes = 0;              // 0: 8, or what the budget buys
  double budget = 0, attainment = 0.9;
  bool regret = false;  // runs every static profile within the budget too
  double interval_s = 5;
  std::uint64_t seed = 1;
  std::string out;  // directory for result.json and plots
  bool json = false;
};

[[nodiscard]] Result<int> simulate(const SimulateOptions& o);

/// The cluster and load that file and flags describe.
[[nodiscard]] Result<sim::Scenario> scenario_of(const SimulateOptions& o);
/// A trace's requests; it is repeated until there are as many as asked for. 0: once. Lengths are told or hidden as the
/// scenario's load says.
[[nodiscard]] Result<sim::Load> load_of_trace(const SimulateOptions& o, const sim::LoadSpec& s, std::size_t requests);
/// The trace's requests where there is one, else the scenario's load.
[[nodiscard]] Result<sim::Load> load_of(const SimulateOptions& o, const sim::LoadSpec& s);

}  // namespace sluice::ctl
