#pragma once
// What a Hugging Face directory says about a model: config.json, overridden by generation_config.json where both
// name the special tokens.
//
// Failure: the files are untrusted. Anything this engine would compute wrongly (another architecture, quantized
// weights, an unknown rope type) is refused by name, and every size is bounded, before any weight is looked at.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "engine/dtype.h"

namespace sluice::engine {

enum class Family : std::uint8_t { llama, mistral, qwen2, qwen3 };

enum class RopeType : std::uint8_t { plain, linear, llama3, yarn };

/// Rotary position embedding. The scaling fields not named by the type are unused.
struct RopeConfig {
  RopeType type = RopeType::plain;
  double theta = 10000.0;
  double factor = 1.0;                       // linear, llama3, yarn
  double low_freq_factor = 1.0;              // llama3
  double high_freq_factor = 4.0;             // llama3
  std::uint32_t original_max_position = 0;   // llama3, yarn
  double attention_factor = 1.0;             // yarn: what cosines and sines are multiplied by
  double beta_fast = 32.0, beta_slow = 1.0;  // yarn: turns over the original context at the ramp's ends
  bool truncate = true;                      // yarn: the ramp's ends are whole numbers
  friend bool operator==(const RopeConfig&, const RopeConfig&) = default;
};

/// Angle per position of each pair, scaling applied: [head_dim / 2].
[[nodiscard]] std::vector<float> rope_inv_freq(const RopeConfig& rope, std::uint32_t head_dim);

struct ModelConfig {
  Family family = Family::llama;
  std::string architecture;  // as config.json names it, e.g. "LlamaForCausalLM"
  std::uint32_t hidden_size = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;     // query heads
  std::uint32_t kv_heads = 0;  // divides heads
  std::uint32_t head_dim = 0;  // even
  std::uint32_t ffn_size = 0;
  std::uint32_t vocab_size = 0;
  std::uint32_t max_position = 0;  // longest sequence in tokens
  float rms_eps = 1e-6F;
  RopeConfig rope;
  std::vector<float> inv_freq;        // rope_inv_freq(rope, head_dim)
  bool tie_embeddings = false;        // the LM head is the embedding table
  bool qkv_bias = false;              // Qwen2; others where the file says so
  bool out_bias = false;              // of the attention's output
  bool mlp_bias = false;              // of gate, up and down
  bool qk_norm = false;               // Qwen3
  std::vector<std::uint32_t> window;  // per layer: sliding window in tokens; 0 = full attention
  std::optional<TokenId> bos;
  std::vector<TokenId> eos;        // any of them ends a generation; may be empty
  DType dtype = DType::bf16;       // what config.json says of the weights; each tensor states its own
  std::vector<std::string> notes;  // what was read and ignored, in words for the log

  [[nodiscard]] std::uint32_t q_size() const noexcept { return heads * head_dim; }
  [[nodiscard]] std::uint32_t kv_size() const noexcept { return kv_heads * head_dim; }
  /// Number of weights, tied ones once.
  [[nodiscard]] std::uint64_t parameters() const noexcept;
  /// What decides results and is not seen in the weights, one field a line in a fixed order: what hash() is taken over.
  [[nodiscard]] std::string canonical() const;
};

/// Reads dir/config.json and, if present, dir/generation_config.json. Errors name the file with its path.
/// not_found: no such file; invalid_argument (with param): broken or absurd; unsupported: a kind of model we can't run.
[[nodiscard]] Result<ModelConfig> load_model_config(const std::filesystem::path& dir);

/// The same from texts; an empty `generation_text` means there is no such file.
[[nodiscard]] Result<ModelConfig> parse_model_config(const std::string& config_text,
                                                     const std::string& generation_text);

}  // namespace sluice::engine
