#pragma once
// Small serving loops over a Model for tests: several sequences in flight, each cut into chunks of its own, in
// scattered KV blocks.
#include <string>
#include <vector>

#include "common/result.h"
#include "engine/model/model.h"

namespace sluice::test {

using engine::DType;
using engine::Model;
using engine::ModelOptions;
using engine::Precision;

struct Prompt {
  std::vector<TokenId> tokens;
  std::uint32_t chunk = 0;  // prompt tokens a step; 0: all at once
  std::uint32_t steps = 1;  // tokens to generate, greedily
  std::uint32_t start = 0;  // step of the loop at which the sequence joins
};

struct Answer {
  std::vector<TokenId> tokens;  // [steps]
  std::vector<float> logits;    // [steps, vocab]: what each token was chosen from
};

/// Serves all prompts at once; block tables are disjoint and out of order. Fails the running test on an error.
std::vector<Answer> serve(Model& model, DType kv_dtype, const std::vector<Prompt>& prompts,
                          std::uint32_t block_size = 16);

Answer serve_one(Model& model, DType kv_dtype, const Prompt& prompt, std::uint32_t block_size = 16);

/// Loads a model of tests/engine/golden or, as "sluice-tiny", the bundled one; fails the running test on an error.
std::unique_ptr<Model> load(const std::string& name, const ModelOptions& options);

std::filesystem::path model_dir(const std::string& name);

/// The instruction sets this machine can run.
std::vector<std::string> instruction_sets();

bool same_bits(const std::vector<float>& a, const std::vector<float>& b);

/// What transformers computed (tools/golden/engine_models.py).
struct Expected {
  std::vector<TokenId> prompt, tokens;
  std::vector<std::int64_t> positions;
  std::vector<float> prompt_logits, step_logits;
};
Expected expected(const std::string& name);

inline const std::vector<std::string> kGoldenModels{"llama3_rope", "llama_mqa_tied", "mistral_window", "qwen2_bias",
                                                    "qwen3_qknorm"};

}  // namespace sluice::test
