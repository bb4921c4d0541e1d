#pragma once
// "Is prefill apart from decode worth it here?": the same lengths of prompts computed on two nodes (split) and on the
// decode node alone (colocated), in turns, on an otherwise idle cluster; and what a running answer feels meanwhile,
// which is what splitting is for. Judging is pure. Threading: measure_pd() blocks; two threads while a stream runs
// beside.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/ctl/doctor/asker.h"
#include "coordinator/ctl/doctor/finding.h"

namespace sluice::ctl::doctor {

struct PdOptions {
  std::vector<std::uint64_t> prompts{64, 256, 1024, 4096};  // tokens; those beyond the context are shortened to it
  std::uint64_t output_tokens = 16;
  std::uint64_t rounds = 5;
};

/// One length, a figure for each round.
struct PdLength {
  std::uint64_t prompt_tokens = 0;
  std::vector<double> split_ttft_ms, colocated_ttft_ms;
  std::vector<double> split_tpot_ms, colocated_tpot_ms;
};

/// A running answer's longest and mean time between tokens, while a long prompt was computed. (No median: small tokens
/// come several in one read.)
struct PdBeside {
  std::uint64_t prompt_tokens = 0;
  double alone_ms = 0;                                     // mean with nothing else going on
  std::vector<double> split_worst_ms, colocated_worst_ms;  // a figure for each round
  std::vector<double> split_mean_ms, colocated_mean_ms;
  std::size_t elsewhere = 0;  // colocated rounds in which another node computed the prompt: they say nothing
};

struct PdFacts {
  std::optional<Error> error;
  std::vector<PdLength> lengths;
  PdBeside beside;
};

[[nodiscard]] PdFacts measure_pd(const Endpoint& e, const PdOptions& o);
[[nodiscard]] Findings judge_pd(const PdFacts& f);
[[nodiscard]] nlohmann::json pd_json(const PdFacts& f);

}  // namespace sluice::ctl::doctor
