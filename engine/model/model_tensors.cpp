#include "engine/model/model_tensors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

namespace sluice::engine {
namespace {

constexpr std::string_view kPrefix = "model.";
constexpr std::size_t kMaxNamed = 5;  // tensors that one note names

using Shape = std::vector<std::uint64_t>;
using Wanted = std::vector<std::pair<std::string, Shape>>;  // in the order of the computation

void add_layer(const ModelConfig& c, std::uint32_t layer, Wanted& out) {
  const std::uint64_t h = c.hidden_size, q = c.q_size(), kv = c.kv_size(), ffn = c.ffn_size;
  const auto add = [&](const char* rest, Shape shape) {
    out.emplace_back(layer_tensor(layer, rest), std::move(shape));
  };
  add("input_layernorm.weight", {h});
  add("self_attn.q_proj.weight", {q, h});
  add("self_attn.k_proj.weight", {kv, h});
  add("self_attn.v_proj.weight", {kv, h});
  add("self_attn.o_proj.weight", {h, q});
  add("post_attention_layernorm.weight", {h});
  add("mlp.gate_proj.weight", {ffn, h});
  add("mlp.up_proj.weight", {ffn, h});
  add("mlp.down_proj.weight", {h, ffn});
  if (c.qkv_bias) {
    add("self_attn.q_proj.bias", {q});
    add("self_attn.k_proj.bias", {kv});
    add("self_attn.v_proj.bias", {kv});
  }
  if (c.out_bias) add("self_attn.o_proj.bias", {h});
  if (c.mlp_bias) {
    add("mlp.gate_proj.bias", {ffn});
    add("mlp.up_proj.bias", {ffn});
    add("mlp.down_proj.bias", {h});
  }
  if (c.qk_norm) {
    add("self_attn.q_norm.weight", {c.head_dim});
    add("self_attn.k_norm.weight", {c.head_dim});
  }
}

Wanted wanted_tensors(const ModelConfig& c) {
  const std::uint64_t h = c.hidden_size;
  Wanted out{{kEmbeddingTensor, {c.vocab_size, h}}};
  for (std::uint32_t i = 0; i < c.layers; ++i) add_layer(c, i, out);
  out.emplace_back(kNormTensor, Shape{h});
  if (!c.tie_embeddings) out.emplace_back(kHeadTensor, Shape{c.vocab_size, h});
  return out;
}

/// The checkpoint under transformers' names. One saved from the class without a head lacks their prefix.
TensorMap with_prefix(const TensorMap& file) {
  if (file.contains(kNormTensor) || !file.contains(std::string_view(kNormTensor).substr(kPrefix.size()))) return file;
  TensorMap out;
  for (const auto& [name, t] : file) out.emplace(name.starts_with("lm_head.") ? name : std::string(kPrefix) + name, t);
  return out;
}

// What to say of a tensor that is not there.
std::string hint(const ModelConfig& c, const std::string& name, const TensorMap& tensors) {
  if (name == kHeadTensor)
    return "; if the head is the embedding, config.json must say so: 'tie_word_embeddings': true";
  const std::string_view stem = std::string_view(name).substr(0, name.rfind('.'));
  for (const auto& [other, t] : tensors) {
    if (other.ends_with(std::string_view(name).substr(kPrefix.size())))
      return fmt::format("; it has '{}': save the language model of {} by itself, under its own names",
                         std::string_view(other).substr(0, 200), c.architecture);
    if (other.starts_with(stem) && other.ends_with(".qweight"))
      return fmt::format("; it has '{}': quantized weights are not supported", std::string_view(other).substr(0, 200));
  }
  return {};
}

Result<> check_wanted(const ModelConfig& c, const std::string& name, const Shape& shape, const TensorMap& tensors,
                      const std::string& source) {
  const auto it = tensors.find(name);
  if (it == tensors.end())
    return fail(Errc::data_corrupt, "{}: the model has no tensor '{}'{}", source, name, hint(c, name, tensors));
  const TensorView& t = it->second;
  if (t.shape != shape)
    return fail(Errc::data_corrupt, "{}: tensor '{}' has shape [{}] where config.json needs [{}]{}", t.file, name,
                fmt::join(t.shape, ", "), fmt::join(shape, ", "),
                shape[0] == c.vocab_size && (name == kEmbeddingTensor || name == kHeadTensor)
                    ? "; the rows are the vocabulary: 'vocab_size'"
                    : "");
  if (!weight_dtype(t.dtype))
    return fail(Errc::unsupported, "{}: tensor '{}' has type {}; supported: BF16, F16, F32", t.file, name, t.dtype);
  return {};
}

float value_at(const TensorView& t, std::size_t i) {
  const DType dtype = *weight_dtype(t.dtype);
  if (dtype == DType::f32) {
    float f = 0;
    std::memcpy(&f, t.data.data() + i * sizeof f, sizeof f);
    return f;
  }
  std::uint16_t h = 0;
  std::memcpy(&h, t.data.data() + i * sizeof h, sizeof h);
  return dtype == DType::bf16 ? bf16_to_f32(h) : f16_to_f32(h);
}

bool same_values(const TensorView& a, const TensorView& b) {
  if (a.shape != b.shape || !weight_dtype(a.dtype) || !weight_dtype(b.dtype)) return false;
  if (a.dtype == b.dtype) return std::memcmp(a.data.data(), b.data.data(), a.data.size()) == 0;
  const std::size_t count = a.data.size() / size_of(*weight_dtype(a.dtype));
  for (std::size_t i = 0; i < count; ++i)
    if (value_at(a, i) != value_at(b, i)) return false;
  return true;
}

// Tied by config.json, a head in the checkpoint: the same values, or (transformers 5) it stands for a missing
// embedding. One that differs is used by transformers 5 and overwritten by 4; nobody can say what was meant.
Result<> tie_head(TensorMap& tensors) {
  const auto head = tensors.find(kHeadTensor);
  if (head == tensors.end()) return {};
  const auto embedding = tensors.find(kEmbeddingTensor);
  if (embedding == tensors.end()) {
    tensors.emplace(kEmbeddingTensor, std::move(head->second));
  } else if (!same_values(head->second, embedding->second)) {
    return fail(Errc::invalid_argument,
                "{}: config.json says 'tie_word_embeddings': true, but '{}' differs from '{}'; set it to false to use "
                "the head, or remove the head from the checkpoint to use the embedding",
                head->second.file, kHeadTensor, kEmbeddingTensor);
  }
  tensors.erase(head);
  return {};
}

// Buffers that old versions of transformers saved; they follow from the configuration.
bool is_known_buffer(std::string_view name) {
  return name.find(".rotary_emb.") != name.npos || name.ends_with("position_ids") || name.ends_with(".masked_bias");
}

bool is_on_path(std::string_view name) {
  constexpr std::array<std::string_view, 4> kPath{"model.layers.", "model.embed_tokens.", "model.norm.", "lm_head."};
  return std::ranges::any_of(kPath, [&](std::string_view p) { return name.starts_with(p); });
}

std::optional<std::uint64_t> layer_of(std::string_view name) {
  constexpr std::string_view kLayers = "model.layers.";
  std::uint64_t layer = 0;
  if (!name.starts_with(kLayers)) return std::nullopt;
  const auto r = std::from_chars(name.data() + kLayers.size(), name.data() + name.size(), layer);
  return r.ec == std::errc() ? std::optional(layer) : std::nullopt;
}

bool all_zero(const TensorView& t) {
  return std::ranges::all_of(t.data, [](std::byte b) { return b == std::byte{0}; });
}

// A tensor that the configuration does not imply: true if it is worth a note that it is ignored.
Result<bool> judge_unused(const ModelConfig& c, const std::string& name, const TensorView& t) {
  if (is_known_buffer(name)) return false;
  if (!is_on_path(name)) return true;
  const std::string_view shown = std::string_view(name).substr(0, 200);
  if (const auto layer = layer_of(name); layer && *layer >= c.layers)
    return fail(Errc::data_corrupt, "{}: tensor '{}' belongs to a layer past config.json's 'num_hidden_layers' {}",
                t.file, shown, c.layers);
  if (name.ends_with(".bias")) {
    if (all_zero(t)) return true;
    return fail(Errc::data_corrupt,
                "{}: '{}' is not zero, but config.json gives {} no such bias ('attention_bias', 'mlp_bias')", t.file,
                shown, c.architecture);
  }
  return fail(Errc::unsupported,
              "{}: tensor '{}' would change what is computed, but {} of config.json has no such part", t.file, shown,
              c.architecture);
}

std::string ignored_note(const std::vector<std::string>& names, const std::string& source) {
  const std::size_t shown = std::min(names.size(), kMaxNamed);
  std::string out = fmt::format("{}: tensors that the model does not need are ignored:", source);
  for (std::size_t i = 0; i < shown; ++i) out += fmt::format("{} {}", i == 0 ? "" : ",", names[i].substr(0, 200));
  if (names.size() > shown) out += fmt::format(" and {} more", names.size() - shown);
  return out;
}

}  // namespace

std::string layer_tensor(std::uint32_t layer, std::string_view rest) {
  return fmt::format("model.layers.{}.{}", layer, rest);
}

std::optional<DType> weight_dtype(std::string_view name) {
  if (name == "BF16") return DType::bf16;
  if (name == "F16") return DType::f16;
  if (name == "F32") return DType::f32;
  return std::nullopt;
}

Result<ModelTensors> select_tensors(const ModelConfig& config, const TensorMap& file, const std::string& source) {
  TensorMap tensors = with_prefix(file);
  if (config.tie_embeddings) SLUICE_TRY(tie_head(tensors));
  const Wanted wanted = wanted_tensors(config);
  for (const auto& [name, shape] : wanted) SLUICE_TRY(check_wanted(config, name, shape, tensors, source));
  ModelTensors out;
  for (const auto& [name, shape] : wanted) out.used.insert(tensors.extract(name));
  std::vector<std::string> ignored;
  for (const auto& [name, t] : tensors) {
    SLUICE_ASSIGN(const bool note, judge_unused(config, name, t));
    if (note) ignored.push_back(name);
  }
  if (!ignored.empty()) out.notes.push_back(ignored_note(ignored, source));
  return out;
}

}  // namespace sluice::engine
