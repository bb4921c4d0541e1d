#include "engine/model/model_config.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

#include "engine/model/model_config_fields.h"
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

Result<std::string> read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Errc::not_found, "cannot open {}: {}", path.string(), std::strerror(errno));
  std::string text(kMaxConfigBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.empty()) return fail(Errc::invalid_argument, "{} is empty", path.string());
  if (text.size() > kMaxConfigBytes)
    return fail(Errc::invalid_argument, "{} is larger than {} bytes", path.string(), kMaxConfigBytes);
  return text;
}

Result<json> parse_object(const std::string& text, const char* file) {
  json j = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!j.is_object()) return fail(Errc::invalid_argument, "{} is not a JSON object", file);
  return j;
}

Result<> parse_family(const ConfigFields& f, ModelConfig& c) {
  const json* list = f.find("architectures");
  if (!list || !list->is_array() || list->size() != 1 || !list->front().is_string())
    return fail_param("architectures", "config.json: 'architectures' must be a list of one name");
  c.architecture = list->front().get<std::string>();
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
Result<> refuse_variants(const ConfigFields& f, const ModelConfig& c) {
  if (f.find("quantization_config"))
    return fail(Errc::unsupported,
                "quantized weights ('quantization_config') are not supported; use a bf16, f16 or f32 model");
  SLUICE_ASSIGN(const std::string act, f.text_or("hidden_act", "silu"));
  if (act != "silu") return fail(Errc::unsupported, "hidden_act '{}' is not supported; only silu", act);
  SLUICE_ASSIGN(const bool mlp_bias, f.flag_or("mlp_bias", false));
  if (mlp_bias) return fail(Errc::unsupported, "mlp_bias is not supported");
  SLUICE_ASSIGN(const bool attention_bias, f.flag_or("attention_bias", false));
  if (attention_bias && c.family != Family::qwen2)
    return fail(Errc::unsupported, "attention_bias is not supported for {}", c.architecture);
  return {};
}

Result<> parse_heads(const ConfigFields& f, ModelConfig& c) {
  SLUICE_ASSIGN(c.heads, f.count("num_attention_heads", kMaxHeads));
  // transformers' defaults for a missing count differ between families and fit only their first model.
  if (c.family != Family::llama && !f.has_key("num_key_value_heads"))
    return fail_param("num_key_value_heads", "config.json has no 'num_key_value_heads'");
  SLUICE_ASSIGN(c.kv_heads, f.count_or("num_key_value_heads", kMaxHeads, c.heads));
  if (c.heads % c.kv_heads != 0)
    return fail_param("num_key_value_heads", "config.json: {} attention heads cannot share {} key-value heads evenly",
                      c.heads, c.kv_heads);
  if (f.find("head_dim") || c.family == Family::qwen3) {
    SLUICE_ASSIGN(c.head_dim, f.count_or("head_dim", kMaxHeadDim, 128));
  } else if (c.hidden_size % c.heads != 0) {
    return fail_param("num_attention_heads", "config.json: hidden_size {} is not divisible by {} attention heads",
                      c.hidden_size, c.heads);
  } else {
    c.head_dim = c.hidden_size / c.heads;
  }
  if (c.head_dim % 2 != 0 || c.head_dim > kMaxHeadDim)
    return fail_param("head_dim", "config.json: head_dim {} must be even and at most {}", c.head_dim, kMaxHeadDim);
  if (c.q_size() > kMaxWidth)
    return fail_param("num_attention_heads", "config.json: {} heads of {} values are too wide", c.heads, c.head_dim);
  return {};
}

Result<> parse_sizes(const ConfigFields& f, ModelConfig& c) {
  SLUICE_ASSIGN(c.hidden_size, f.count("hidden_size", kMaxWidth));
  SLUICE_ASSIGN(c.layers, f.count("num_hidden_layers", kMaxLayers));
  SLUICE_ASSIGN(c.ffn_size, f.count("intermediate_size", kMaxWidth));
  SLUICE_ASSIGN(c.vocab_size, f.count("vocab_size", kMaxVocab));
  SLUICE_ASSIGN(c.max_position, f.count("max_position_embeddings", kMaxPosition));
  SLUICE_ASSIGN(const double eps, f.positive_or("rms_norm_eps", 1.0, 1e-6));
  c.rms_eps = static_cast<float>(eps);
  SLUICE_ASSIGN(c.tie_embeddings, f.flag_or("tie_word_embeddings", false));
  return parse_heads(f, c);
}

// Qwen: which layers slide. As transformers: an explicit list, else all from max_window_layers on.
Result<std::vector<bool>> sliding_layers(const ConfigFields& f, std::uint32_t layers) {
  std::vector<bool> sliding(layers);
  const json* types = f.find("layer_types");
  if (!types) {
    const json* first = f.find("max_window_layers");
    if (first && (!first->is_number_unsigned()))
      return fail_param("max_window_layers", "config.json: 'max_window_layers' must be an integer of at least 0");
    const std::uint64_t begin = first ? first->get<std::uint64_t>() : 28;
    for (std::uint32_t i = 0; i < layers; ++i) sliding[i] = i >= begin;
    return sliding;
  }
  if (!types->is_array() || types->size() != layers)
    return fail_param("layer_types", "config.json: 'layer_types' must list one type for each of {} layers", layers);
  for (std::uint32_t i = 0; i < layers; ++i) {
    const json& t = (*types)[i];
    if (t != "full_attention" && t != "sliding_attention")
      return fail(Errc::unsupported, "layer {}: only full_attention and sliding_attention layers are supported", i);
    sliding[i] = t == "sliding_attention";
  }
  return sliding;
}

// Mistral slides wherever a window is set (4096 if the key is missing: transformers' default); Llama never;
// Qwen only with use_sliding_window, in some layers.
Result<> parse_window(const ConfigFields& f, ModelConfig& c) {
  c.window.assign(c.layers, 0);
  if (c.family == Family::llama) return {};
  const std::uint32_t absent = f.has_key("sliding_window") ? 0 : 4096;
  SLUICE_ASSIGN(const std::uint32_t window, f.count_or("sliding_window", kMaxPosition, absent));
  if (c.family == Family::mistral) {
    c.window.assign(c.layers, window);
    return {};
  }
  SLUICE_ASSIGN(const auto sliding, sliding_layers(f, c.layers));
  SLUICE_ASSIGN(const bool use, f.flag_or("use_sliding_window", false));
  for (std::uint32_t i = 0; use && i < c.layers; ++i)
    if (sliding[i]) c.window[i] = window;
  return {};
}

Result<TokenId> as_token(const char* key, const json& v, std::uint32_t vocab) {
  if (!v.is_number_unsigned() || v.get<std::uint64_t>() >= vocab)
    return fail_param(key, "'{}' must be a token id below vocab_size {}", key, vocab);
  return static_cast<TokenId>(v.get<std::uint64_t>());
}

// Fields absent from `f` leave what an earlier file said.
Result<> parse_special(const ConfigFields& f, ModelConfig& c) {
  if (const json* bos = f.find("bos_token_id")) {
    SLUICE_ASSIGN(c.bos, as_token("bos_token_id", *bos, c.vocab_size));
  }
  const json* v = f.find("eos_token_id");
  if (!v) return {};
  c.eos.clear();
  if (!v->is_array()) {
    SLUICE_ASSIGN(const TokenId id, as_token("eos_token_id", *v, c.vocab_size));
    c.eos.push_back(id);
    return {};
  }
  if (v->size() > kMaxEos) return fail_param("eos_token_id", "'eos_token_id' lists more than {} tokens", kMaxEos);
  for (const json& item : *v) {
    SLUICE_ASSIGN(const TokenId id, as_token("eos_token_id", item, c.vocab_size));
    c.eos.push_back(id);
  }
  return {};
}

Result<> parse_dtype(const ConfigFields& f, ModelConfig& c) {
  SLUICE_ASSIGN(const std::string old_name, f.text_or("torch_dtype", "bfloat16"));
  SLUICE_ASSIGN(const std::string dtype, f.text_or("dtype", old_name.c_str()));
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
  SLUICE_ASSIGN(const json root, parse_object(config_text, "config.json"));
  const ConfigFields f(root);
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
  SLUICE_ASSIGN(const json generation, parse_object(generation_text, "generation_config.json"));
  SLUICE_TRY(parse_special(ConfigFields(generation), c));
  return c;
}

Result<ModelConfig> load_model_config(const std::filesystem::path& dir) {
  SLUICE_ASSIGN(const std::string config, read_text(dir / "config.json"));
  std::string generation;
  std::error_code ec;
  if (std::filesystem::exists(dir / "generation_config.json", ec)) {
    SLUICE_ASSIGN(generation, read_text(dir / "generation_config.json"));
  }
  return parse_model_config(config, generation);
}

}  // namespace sluice::engine
