#include "engine/model/model_config.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "common/json/parse.h"
#include "common/json/reader.h"
#include "engine/model/model_config_family.h"
#include "engine/model/model_config_rope.h"
#include "engine/model/model_config_window.h"

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

Result<json> parse_file(const std::string& text, const char* file) {
  return parse_json_object(text, {.what = file, .max_bytes = kMaxConfigBytes});
}

constexpr NumberRange<std::uint32_t> up_to(std::uint32_t most) { return {.least = 1, .most = most}; }

// What would change the arithmetic in ways the engine does not have.
Result<> refuse_variants(JsonObject& f) {
  if (f.has("quantization_config"))
    return fail(
        Errc::unsupported,
        "config.json: quantized weights ('quantization_config') are not supported; use a bf16, f16 or f32 model");
  std::string act = "silu";
  f.want("hidden_act").into(act);
  SLUICE_TRY(f.done());
  if (act != "silu" && act != "swish")  // two names of one function
    return fail(Errc::unsupported, "config.json: 'hidden_act' {} is not supported; only silu (or swish)",
                act.substr(0, 100));
  return {};
}

// Llama and Qwen3 have biases where the configuration says so, Qwen2 always on q, k and v.
Result<> parse_biases(JsonObject& f, ModelConfig& c) {
  bool attention = false, mlp = false;
  f.want("attention_bias").into(attention);
  f.want("mlp_bias").into(mlp);
  SLUICE_TRY(f.done());
  if (attention && c.family == Family::mistral)
    return fail(Errc::unsupported, "config.json: 'attention_bias' is not supported for {}", c.architecture);
  if (mlp && c.family != Family::llama)
    return fail(Errc::unsupported, "config.json: 'mlp_bias' is not supported for {}", c.architecture);
  c.out_bias = attention && c.family != Family::qwen2;
  c.qkv_bias = c.out_bias || c.family == Family::qwen2;
  c.mlp_bias = mlp;
  return {};
}

// As transformers: null means one for each query head, a missing key the family's default.
std::uint32_t default_kv_heads(const JsonObject& f, const ModelConfig& c) {
  if (f.mentions("num_key_value_heads") || c.family == Family::llama) return c.heads;
  return c.family == Family::mistral ? 8 : 32;
}

Result<> parse_heads(JsonObject& f, ModelConfig& c) {
  f.need("num_attention_heads").into(c.heads, up_to(kMaxHeads));
  c.kv_heads = default_kv_heads(f, c);
  f.want("num_key_value_heads").into(c.kv_heads, up_to(kMaxHeads));
  c.head_dim = 128;  // Qwen 3's where it does not say
  const bool stated = f.want("head_dim").into(c.head_dim, up_to(kMaxHeadDim));
  SLUICE_TRY(f.done());
  if (c.heads % c.kv_heads != 0)
    return fail_param("num_key_value_heads",
                      "config.json: {} attention heads cannot share {} key-value heads ('num_key_value_heads') evenly",
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

// A token id. None when it can never be met: -1, which some write for "none", or an id past the vocabulary.
std::optional<TokenId> token(const char* file, const JsonValue& v, ModelConfig& c) {
  std::int64_t id = 0;
  if (!v.into(id, {.least = -1})) return std::nullopt;
  if (id >= 0 && id < std::int64_t{c.vocab_size}) return static_cast<TokenId>(id);
  c.notes.push_back(
      fmt::format("{}: '{}' {} is no token of a vocabulary of {} and is ignored", file, v.path(), id, c.vocab_size));
  return std::nullopt;
}

// Fields absent from `f` leave what an earlier file said.
Result<> parse_special(const char* file, JsonObject& f, ModelConfig& c) {
  if (const JsonValue bos = f.want("bos_token_id"); bos.present()) c.bos = token(file, bos, c);
  const JsonValue eos = f.want("eos_token_id");
  if (!eos.present()) return f.done();
  c.eos.clear();
  const auto add = [&](const JsonValue& v) {
    if (const auto id = token(file, v, c)) c.eos.push_back(*id);
  };
  if (eos.raw().is_array())
    eos.each({.most = kMaxEos}, add);
  else
    add(eos);
  return f.done();
}

// Only what the file says of itself; each tensor states its own type. "auto" and nothing leave bf16.
Result<> parse_dtype(JsonObject& f, ModelConfig& c) {
  std::string name = "auto";
  f.want("torch_dtype").into(name);  // its name before transformers 5
  f.want("dtype").into(name);
  SLUICE_TRY(f.done());
  const std::string_view dtype = std::string_view(name).substr(name.starts_with("torch.") ? 6 : 0);
  if (dtype == "bfloat16" || dtype == "auto")
    c.dtype = DType::bf16;
  else if (dtype == "float16" || dtype == "half")
    c.dtype = DType::f16;
  else if (dtype == "float32" || dtype == "float")
    c.dtype = DType::f32;
  else
    return fail(Errc::unsupported,
                "config.json: weights of type '{}' ('dtype') are not supported; supported: bfloat16, float16, float32",
                name.substr(0, 100));
  return {};
}

}  // namespace

std::uint64_t ModelConfig::parameters() const noexcept {
  const std::uint64_t h = hidden_size;
  const std::uint64_t attention = h * q_size() * 2 + h * kv_size() * 2 + (qkv_bias ? q_size() + 2 * kv_size() : 0) +
                                  (out_bias ? h : 0) + (qk_norm ? 2 * head_dim : 0);
  const std::uint64_t mlp = 3 * h * ffn_size + (mlp_bias ? 2 * std::uint64_t{ffn_size} + h : 0);
  const std::uint64_t layer = attention + mlp + 2 * h;
  return layers * layer + h + (tie_embeddings ? 1 : 2) * vocab_size * h;
}

std::string ModelConfig::canonical() const {
  std::string out = fmt::format(
      "architecture={}\nhidden={}\nlayers={}\nheads={}\nkv_heads={}\nhead_dim={}\nffn={}\nvocab={}\nmax_position={}\n"
      "rms_eps={:.9g}\nrope={},{:.17g},{:.17g},{:.17g},{:.17g},{}\ntied={}\n",
      architecture, hidden_size, layers, heads, kv_heads, head_dim, ffn_size, vocab_size, max_position, rms_eps,
      static_cast<int>(rope.type), rope.theta, rope.factor, rope.low_freq_factor, rope.high_freq_factor,
      rope.original_max_position, tie_embeddings);
  // Only where they matter, so that the names of other models stay what they were.
  if (rope.type == RopeType::yarn)
    out += fmt::format("yarn={:.17g},{:.17g},{:.17g},{}\n", rope.attention_factor, rope.beta_fast, rope.beta_slow,
                       rope.truncate);
  for (const std::uint32_t w : window) out += fmt::format("window={}\n", w);
  return out;
}

Result<ModelConfig> parse_model_config(const std::string& config_text, const std::string& generation_text) {
  SLUICE_ASSIGN(const json root, parse_file(config_text, "config.json"));
  JsonReader in(root, {.what = "config.json"});
  JsonObject f = in.object();
  ModelConfig c;
  SLUICE_TRY(parse_family(f, c));
  SLUICE_TRY(refuse_variants(f));
  SLUICE_TRY(parse_sizes(f, c));
  SLUICE_ASSIGN(c.rope, parse_rope(f, c.max_position));
  c.inv_freq = rope_inv_freq(c.rope, c.head_dim);
  if (!std::ranges::all_of(c.inv_freq, [](float f) { return std::isfinite(f); }))
    return fail_param("rope_theta",
                      "config.json: the rope settings ('rope_theta', 'factor') give no finite frequencies");
  SLUICE_TRY(parse_window(f, kMaxPosition, c));
  SLUICE_TRY(parse_dtype(f, c));
  SLUICE_TRY(parse_biases(f, c));
  c.qk_norm = c.family == Family::qwen3;
  SLUICE_TRY(parse_special("config.json", f, c));
  if (generation_text.empty()) return c;
  SLUICE_ASSIGN(const json generation, parse_file(generation_text, "generation_config.json"));
  JsonReader beside(generation, {.what = "generation_config.json"});
  JsonObject special = beside.object();
  SLUICE_TRY(parse_special("generation_config.json", special, c));
  return c;
}

}  // namespace sluice::engine
