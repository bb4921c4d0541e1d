#include "engine/model/model_config.h"

#include <array>
#include <string_view>

#include "common/files.h"
#include "common/json/parse.h"
#include "common/json/reader.h"
#include "engine/model/model_config_rope.h"

namespace sluice::engine {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxConfigBytes = 1U << 20;
// Bounds far above any model there is, low enough that no product of two of them overflows 64 bits.
constexpr std::uint32_t kMaxWidth = 1U << 18;  // hidden, ffn, heads * head_dim
constexpr std::uint32_t kMaxLayers = 1024;
constexpr std::uint32_t kMaxHeads = 1024;
constexpr std::uint32_t kMaxHeadDim = 512;
constexpr std::uint32_t kMaxVocab = 1U << 22;
constexpr std::uint32_t kMaxPosition = 1U << 24;
constexpr std::size_t kMaxEos = 64;

struct FamilyInfo {
  const char* architecture;
  Family family;
};
constexpr std::array kFamilies{
    FamilyInfo{"LlamaForCausalLM", Family::llama},
    FamilyInfo{"MistralForCausalLM", Family::mistral},
    FamilyInfo{"Qwen2ForCausalLM", Family::qwen2},
    FamilyInfo{"Qwen3ForCausalLM", Family::qwen3},
};

Result<json> parse_file(const std::string& text, const char* file) {
  return parse_json_object(text, {.what = file, .max_bytes = kMaxConfigBytes});
}

constexpr NumberRange<std::uint32_t> up_to(std::uint32_t most) { return {.least = 1, .most = most}; }

Result<> parse_family(JsonObject& f, ModelConfig& c) {
  std::vector<std::string> names;
  f.need("architectures").into(names, Length{1, 1});
  SLUICE_TRY(f.done());
  c.architecture = names.front();
  for (const FamilyInfo& info : kFamilies) {
    if (c.architecture != info.architecture) continue;
    c.family = info.family;
    return {};
  }
  return fail(Errc::unsupported,
              "architecture '{}' is not supported; supported: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, "
              "Qwen3ForCausalLM",
              c.architecture.substr(0, 100));
}

// What would change the arithmetic in ways the engine does not have.
Result<> refuse_variants(JsonObject& f, const ModelConfig& c) {
  if (f.has("quantization_config"))
    return fail(Errc::unsupported,
                "quantized weights ('quantization_config') are not supported; use a bf16, f16 or f32 model");
  std::string act = "silu";
  bool mlp_bias = false, attention_bias = false;
  f.want("hidden_act").into(act);
  f.want("mlp_bias").into(mlp_bias);
  f.want("attention_bias").into(attention_bias);
  SLUICE_TRY(f.done());
  if (act != "silu") return fail(Errc::unsupported, "hidden_act '{}' is not supported; only silu", act);
  if (mlp_bias) return fail(Errc::unsupported, "mlp_bias is not supported");
  if (attention_bias && c.family != Family::qwen2)
    return fail(Errc::unsupported, "attention_bias is not supported for {}", c.architecture);
  return {};
}

Result<> parse_heads(JsonObject& f, ModelConfig& c) {
  f.need("num_attention_heads").into(c.heads, up_to(kMaxHeads));
  // transformers' defaults for a missing count differ between families and fit only their first model.
  if (c.family != Family::llama && !f.mentions("num_key_value_heads"))
    f.refuse("num_key_value_heads", "'num_key_value_heads' is missing");
  c.kv_heads = c.heads;
  f.want("num_key_value_heads").into(c.kv_heads, up_to(kMaxHeads));
  c.head_dim = 128;  // Qwen 3's where it does not say
  const bool stated = f.want("head_dim").into(c.head_dim, up_to(kMaxHeadDim));
  SLUICE_TRY(f.done());
  if (c.heads % c.kv_heads != 0)
    return fail_param("num_key_value_heads", "config.json: {} attention heads cannot share {} key-value heads evenly",
                      c.heads, c.kv_heads);
  if (!stated && c.family != Family::qwen3) {
    if (c.hidden_size % c.heads != 0)
      return fail_param("num_attention_heads", "config.json: hidden_size {} is not divisible by {} attention heads",
                        c.hidden_size, c.heads);
    c.head_dim = c.hidden_size / c.heads;
  }
  if (c.head_dim % 2 != 0 || c.head_dim > kMaxHeadDim)
    return fail_param("head_dim", "config.json: head_dim {} must be even and at most {}", c.head_dim, kMaxHeadDim);
  if (c.q_size() > kMaxWidth)
    return fail_param("num_attention_heads", "config.json: {} heads of {} values are too wide", c.heads, c.head_dim);
  return {};
}

Result<> parse_sizes(JsonObject& f, ModelConfig& c) {
  double eps = 1e-6;
  f.need("hidden_size").into(c.hidden_size, up_to(kMaxWidth));
  f.need("num_hidden_layers").into(c.layers, up_to(kMaxLayers));
  f.need("intermediate_size").into(c.ffn_size, up_to(kMaxWidth));
  f.need("vocab_size").into(c.vocab_size, up_to(kMaxVocab));
  f.need("max_position_embeddings").into(c.max_position, up_to(kMaxPosition));
  f.want("rms_norm_eps").into(eps, {.most = 1, .above = 0});
  f.want("tie_word_embeddings").into(c.tie_embeddings);
  SLUICE_TRY(f.done());
  c.rms_eps = static_cast<float>(eps);
  return parse_heads(f, c);
}

// Qwen: which layers slide. As transformers: an explicit list, else all from max_window_layers on.
Result<std::vector<bool>> sliding_layers(JsonObject& f, std::uint32_t layers) {
  std::vector<bool> sliding(layers);
  std::vector<std::string> types;
  if (!f.want("layer_types").into(types, Length{layers, layers})) {
    std::uint64_t begin = 28;
    f.want("max_window_layers").into(begin);
    SLUICE_TRY(f.done());
    for (std::uint32_t i = 0; i < layers; ++i) sliding[i] = i >= begin;
    return sliding;
  }
  for (std::uint32_t i = 0; i < layers; ++i) {
    if (types[i] != "full_attention" && types[i] != "sliding_attention")
      return fail(Errc::unsupported, "layer {}: only full_attention and sliding_attention layers are supported", i);
    sliding[i] = types[i] == "sliding_attention";
  }
  return sliding;
}

// Mistral slides wherever a window is set (4096 if the key is missing: transformers' default); Llama never;
// Qwen only with use_sliding_window, in some layers.
Result<> parse_window(JsonObject& f, ModelConfig& c) {
  c.window.assign(c.layers, 0);
  if (c.family == Family::llama) return {};
  std::uint32_t window = f.mentions("sliding_window") ? 0 : 4096;
  f.want("sliding_window").into(window, up_to(kMaxPosition));
  SLUICE_TRY(f.done());
  if (c.family == Family::mistral) {
    c.window.assign(c.layers, window);
    return {};
  }
  SLUICE_ASSIGN(const auto sliding, sliding_layers(f, c.layers));
  bool use = false;
  f.want("use_sliding_window").into(use);
  for (std::uint32_t i = 0; use && i < c.layers; ++i)
    if (sliding[i]) c.window[i] = window;
  return f.done();
}

// Fields absent from `f` leave what an earlier file said.
Result<> parse_special(JsonObject& f, ModelConfig& c) {
  const NumberRange<TokenId> known{.least = 0, .most = static_cast<TokenId>(c.vocab_size) - 1};
  f.want("bos_token_id").into(c.bos, known);
  const JsonValue eos = f.want("eos_token_id");
  TokenId one = 0;
  if (eos.present() && eos.raw().is_array())
    eos.into(c.eos, Length{.most = kMaxEos}, known);
  else if (eos.into(one, known))
    c.eos = {one};
  return f.done();
}

Result<> parse_dtype(JsonObject& f, ModelConfig& c) {
  std::string dtype = "bfloat16";
  f.want("torch_dtype").into(dtype);  // its name before transformers 5
  f.want("dtype").into(dtype);
  SLUICE_TRY(f.done());
  if (dtype == "bfloat16")
    c.dtype = DType::bf16;
  else if (dtype == "float16")
    c.dtype = DType::f16;
  else if (dtype == "float32")
    c.dtype = DType::f32;
  else
    return fail(Errc::unsupported, "weights of type '{}' are not supported; supported: bfloat16, float16, float32",
                dtype);
  return {};
}

}  // namespace

std::uint64_t ModelConfig::parameters() const noexcept {
  const std::uint64_t h = hidden_size;
  const std::uint64_t attention =
      h * q_size() * 2 + h * kv_size() * 2 + (qkv_bias ? q_size() + 2 * kv_size() : 0) + (qk_norm ? 2 * head_dim : 0);
  const std::uint64_t layer = attention + 3 * h * ffn_size + 2 * h;
  return layers * layer + h + (tie_embeddings ? 1 : 2) * vocab_size * h;
}

std::string ModelConfig::canonical() const {
  std::string out = fmt::format(
      "architecture={}\nhidden={}\nlayers={}\nheads={}\nkv_heads={}\nhead_dim={}\nffn={}\nvocab={}\nmax_position={}\n"
      "rms_eps={:.9g}\nrope={},{:.17g},{:.17g},{:.17g},{:.17g},{}\ntied={}\n",
      architecture, hidden_size, layers, heads, kv_heads, head_dim, ffn_size, vocab_size, max_position, rms_eps,
      static_cast<int>(rope.type), rope.theta, rope.factor, rope.low_freq_factor, rope.high_freq_factor,
      rope.original_max_position, tie_embeddings);
  for (const std::uint32_t w : window) out += fmt::format("window={}\n", w);
  return out;
}

Result<ModelConfig> parse_model_config(const std::string& config_text, const std::string& generation_text) {
  SLUICE_ASSIGN(const json root, parse_file(config_text, "config.json"));
  JsonReader in(root, {.what = "config.json"});
  JsonObject f = in.object();
  ModelConfig c;
  SLUICE_TRY(parse_family(f, c));
  SLUICE_TRY(refuse_variants(f, c));
  SLUICE_TRY(parse_sizes(f, c));
  SLUICE_ASSIGN(c.rope, parse_rope(f, c.max_position));
  c.inv_freq = rope_inv_freq(c.rope, c.head_dim);
  SLUICE_TRY(parse_window(f, c));
  SLUICE_TRY(parse_dtype(f, c));
  c.qkv_bias = c.family == Family::qwen2;
  c.qk_norm = c.family == Family::qwen3;
  SLUICE_TRY(parse_special(f, c));
  if (generation_text.empty()) return c;
  SLUICE_ASSIGN(const json generation, parse_file(generation_text, "generation_config.json"));
  JsonReader beside(generation, {.what = "generation_config.json"});
  JsonObject special = beside.object();
  SLUICE_TRY(parse_special(special, c));
  return c;
}

Result<ModelConfig> load_model_config(const std::filesystem::path& dir) {
  SLUICE_ASSIGN(const std::string config, read_file(dir / "config.json", kMaxConfigBytes));
  std::string generation;
  std::error_code ec;
  if (std::filesystem::exists(dir / "generation_config.json", ec)) {
    SLUICE_ASSIGN(generation, read_file(dir / "generation_config.json", kMaxConfigBytes));
  }
  return parse_model_config(config, generation);
}

}  // namespace sluice::engine
