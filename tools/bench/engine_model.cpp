#include "tools/bench/engine_model.h"

#include <stdlib.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/dtype.h"

namespace sluice::bench {
namespace {

struct Tensor {
  std::string name;
  std::vector<std::uint32_t> shape;
  [[nodiscard]] std::uint64_t values() const {
    std::uint64_t n = 1;
    for (const auto d : shape) n *= d;
    return n;
  }
};

std::vector<Tensor> tensors_of(const SyntheticShape& s) {
  const std::uint32_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  std::vector<Tensor> t{{"model.embed_tokens.weight", {s.vocab, s.hidden}}, {"model.norm.weight", {s.hidden}}};
  for (std::uint32_t i = 0; i < s.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    t.push_back({layer + "input_layernorm.weight", {s.hidden}});
    t.push_back({layer + "post_attention_layernorm.weight", {s.hidden}});
    t.push_back({layer + "self_attn.q_proj.weight", {q, s.hidden}});
    t.push_back({layer + "self_attn.k_proj.weight", {kv, s.hidden}});
    t.push_back({layer + "self_attn.v_proj.weight", {kv, s.hidden}});
    t.push_back({layer + "self_attn.o_proj.weight", {s.hidden, q}});
    t.push_back({layer + "mlp.gate_proj.weight", {s.ffn, s.hidden}});
    t.push_back({layer + "mlp.up_proj.weight", {s.ffn, s.hidden}});
    t.push_back({layer + "mlp.down_proj.weight", {s.hidden, s.ffn}});
  }
  return t;
}

nlohmann::json config_of(const SyntheticShape& s) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", s.vocab},
          {"hidden_size", s.hidden},
          {"intermediate_size", s.ffn},
          {"num_hidden_layers", s.layers},
          {"num_attention_heads", s.heads},
          {"num_key_value_heads", s.kv_heads},
          {"head_dim", s.head_dim},
          {"max_position_embeddings", 8192},
          {"rope_theta", 10000.0},
          {"rms_norm_eps", 1e-5},
          {"hidden_act", "silu"},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"tie_word_embeddings", true},
          {"bos_token_id", 1},
          {"eos_token_id", 2},
          {"torch_dtype", "bfloat16"}};
}

void write_tensors(std::ofstream& out, const SyntheticShape& s) {
  const auto tensors = tensors_of(s);
  nlohmann::json header;
  std::uint64_t at = 0;
  for (const auto& t : tensors) {
    const std::uint64_t end = at + t.values() * 2;
    header[t.name] = {{"dtype", "BF16"}, {"shape", t.shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  // One stretch of random values, repeated: speed does not depend on what the weights are.
  std::mt19937 gen(1);
  std::normal_distribution<float> normal(0.0F, 0.5F / std::sqrt(static_cast<float>(s.hidden)));
  std::vector<std::uint16_t> values(1 << 16);
  for (auto& v : values) v = engine::f32_to_bf16(normal(gen));
  const std::vector<std::uint16_t> ones(s.hidden, engine::f32_to_bf16(1.0F));
  for (const auto& t : tensors) {
    const auto& from = t.shape.size() == 1 ? ones : values;
    for (std::uint64_t left = t.values(); left > 0;) {
      const std::uint64_t n = std::min<std::uint64_t>(left, from.size());
      out.write(reinterpret_cast<const char*>(from.data()), static_cast<std::streamsize>(n * 2));
      left -= n;
    }
  }
}

}  // namespace

Result<SyntheticModel> SyntheticModel::create(const SyntheticShape& shape) {
  std::error_code error;
  const auto temporary = std::filesystem::temp_directory_path(error);
  std::string pattern = (temporary / "sluice-bench-XXXXXX").string();
  if (error || mkdtemp(pattern.data()) == nullptr)
    return fail(Errc::unavailable, "cannot make a temporary directory '{}'; set TMPDIR to one that can be written",
                pattern);
  SyntheticModel model{std::filesystem::path(pattern)};
  std::ofstream config(model.dir_ / "config.json");
  config << config_of(shape).dump(2);
  std::ofstream weights(model.dir_ / "model.safetensors", std::ios::binary);
  write_tensors(weights, shape);
  if (!config.flush() || !weights.flush())
    return fail(Errc::unavailable, "cannot write a model to '{}'; is the disk full?", pattern);
  return model;
}

SyntheticModel::SyntheticModel(SyntheticModel&& o) noexcept : dir_(std::exchange(o.dir_, {})) {}

SyntheticModel::~SyntheticModel() {
  if (dir_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

}  // namespace sluice::bench
