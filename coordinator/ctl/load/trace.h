#pragma once
// Recorded traces: lengths and arrival times of requests that real users made. Pure. Failure: data_corrupt names the
// line.
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace sluice::ctl::load {

struct PlannedRequest {
  double at_s = 0;  // after the start of the test
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
  std::vector<std::uint32_t> prefix_blocks{};  // ids of the prompt's blocks, where the trace has them
  bool operator==(const PlannedRequest&) const = default;
};
using Plan = std::vector<PlannedRequest>;

/// Azure's LLM inference traces: "TIMESTAMP,ContextTokens,GeneratedTokens" and times like 2023-11-16 18:17:03.9799600.
[[nodiscard]] Result<Plan> parse_azure_csv(std::string_view text);
/// Mooncake's: one object a line with timestamp (ms), input_length and output_length. Its hash_ids, one for each 512
/// tokens of the prompt, are kept: prompts whose first ids are equal begin with the same blocks.
[[nodiscard]] Result<Plan> parse_mooncake_jsonl(std::string_view text);
/// BurstGPT's: "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type", times in seconds. Requests that
/// failed there (no response tokens) are left out.
[[nodiscard]] Result<Plan> parse_burstgpt_csv(std::string_view text);
/// Any of them, told apart by how they begin. Times count from the first request; the order is that of time.
[[nodiscard]] Result<Plan> parse_trace(std::string_view text);

}  // namespace sluice::ctl::load
