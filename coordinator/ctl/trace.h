#pragma once
// What a load test sends and when: made up from a rate and lengths, or read from a recorded trace. Pure; the same seed
// gives the same plan. Failure: data_corrupt names the line.
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace sluice::ctl {

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

/// rate 0: everything at once (concurrency bounds it); otherwise Poisson arrivals per second.
[[nodiscard]] Plan synthetic_plan(std::size_t requests, double rate, std::uint64_t input_tokens,
                                  std::uint64_t output_tokens, std::uint64_t seed);

/// Shortens what does not fit the model's context, the prompt before the answer; tells how many it touched.
std::size_t fit_context(Plan& plan, std::uint64_t max_model_len);

}  // namespace sluice::ctl
