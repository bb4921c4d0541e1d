#include "tests/engine/directories.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string_view>

#include "engine/dtype.h"

namespace sluice::test {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;
using Shape = std::vector<std::uint64_t>;

struct Tensor {
  std::string dtype;
  Shape shape;
  std::string bytes;
};
using Tensors = std::map<std::string, Tensor>;

std::uint64_t count_of(const Shape& shape) {
  std::uint64_t n = 1;
  for (const std::uint64_t d : shape) n *= d;
  return n;
}

// As `values` of tools/golden/engine_directories.py: exact in every type.
std::vector<float> values(std::string_view name, std::uint64_t count) {
  std::uint64_t seed = 0xCBF29CE484222325U;  // FNV-1a, then splitmix64
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  const bool norm = name.ends_with("norm.weight"),
             half = name.ends_with("bias") || name.contains("q_proj") || name.contains("k_proj");
  const bool whole = name.contains("embed_tokens") || name.contains("lm_head");
  std::vector<float> out(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t x = seed + (i + 1) * 0x9E3779B97F4A7C15U;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    x ^= x >> 31;
    const float v = (static_cast<float>((x >> 32) % 127) - 63.0F) / 64.0F;
    out[i] = norm ? 1.0F + v / 2 : whole ? v : half ? v / 2 : v / 4;
  }
  return out;
}

// Exact for the values above: normal, and no more bits than f16 has.
std::uint16_t f32_to_f16(float f) {
  if (f == 0.0F) return 0;
  const auto u = std::bit_cast<std::uint32_t>(f);
  return static_cast<std::uint16_t>((u >> 16 & 0x8000U) | ((u >> 13 & 0x3FFFFU) - (112U << 10)));
}

Tensor tensor(std::string_view name, const std::string& dtype, Shape shape, bool zeros = false) {
  const std::uint64_t count = count_of(shape);
  Tensor t{dtype, std::move(shape), {}};
  if (zeros || (dtype != "F32" && dtype != "BF16" && dtype != "F16")) {
    t.bytes.assign(count * (dtype == "F64" || dtype == "I64" ? 8 : dtype == "F32" ? 4 : dtype == "BOOL" ? 1 : 2), '\0');
    return t;
  }
  for (const float f : values(name, count)) {
    const std::uint32_t bits = dtype == "F32"    ? std::bit_cast<std::uint32_t>(f)
                               : dtype == "BF16" ? engine::f32_to_bf16(f)
                                                 : f32_to_f16(f);
    t.bytes.append(reinterpret_cast<const char*>(&bits), dtype == "F32" ? 4 : 2);
  }
  return t;
}

// The tensors that transformers' model of this configuration has.
std::map<std::string, Shape> shapes(const json& c, std::uint64_t rows, bool biases) {
  const auto n = [&](const char* key) { return c.at(key).get<std::uint64_t>(); };
  const std::string type = c.value("model_type", "llama");
  const std::uint64_t h = n("hidden_size"), ffn = n("intermediate_size"), heads = n("num_attention_heads");
  const std::uint64_t d = c.contains("head_dim") && !c["head_dim"].is_null() ? n("head_dim") : h / heads;
  const std::uint64_t kv = (c.contains("num_key_value_heads") ? n("num_key_value_heads") : heads) * d, q = heads * d;
  const bool attention = biases && c.value("attention_bias", false), mlp = biases && c.value("mlp_bias", false);
  std::map<std::string, Shape> out{
      {"model.embed_tokens.weight", {rows, h}}, {"model.norm.weight", {h}}, {"lm_head.weight", {rows, h}}};
  for (std::uint64_t i = 0; i < n("num_hidden_layers"); ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    const auto linear = [&](const std::string& name, std::uint64_t to, std::uint64_t from, bool bias) {
      out[layer + name + ".weight"] = {to, from};
      if (bias) out[layer + name + ".bias"] = {to};
    };
    linear("self_attn.q_proj", q, h, attention || type == "qwen2");
    linear("self_attn.k_proj", kv, h, attention || type == "qwen2");
    linear("self_attn.v_proj", kv, h, attention || type == "qwen2");
    linear("self_attn.o_proj", h, q, attention);
    linear("mlp.gate_proj", ffn, h, mlp);
    linear("mlp.up_proj", ffn, h, mlp);
    linear("mlp.down_proj", h, ffn, mlp);
    out[layer + "input_layernorm.weight"] = out[layer + "post_attention_layernorm.weight"] = {h};
    if (type == "qwen3") out[layer + "self_attn.q_norm.weight"] = out[layer + "self_attn.k_norm.weight"] = {d};
  }
  return out;
}

Tensors tensors(const json& of_case, const json& config) {
  const std::string dtype = of_case.value("type", "F32"), embedding = "model.embed_tokens.weight",
                    head = "lm_head.weight";
  const std::uint64_t rows = of_case.value("rows", config.at("vocab_size").get<std::uint64_t>());
  Tensors all;
  for (const auto& [name, shape] : shapes(config, rows, of_case.value("biases", false)))
    if (name != head || !config.value("tie_word_embeddings", false)) all[name] = tensor(name, dtype, shape);
  if (of_case.contains("same_head")) all[head] = all[embedding];
  if (of_case.contains("own_head")) all[head] = tensor(head, dtype, all[embedding].shape);
  for (const auto& name : of_case.value("without", json::array())) all.erase(name.get<std::string>());
  const json extra = of_case.value("extra", json::object());
  for (const auto& [name, t] : extra.items()) all[name] = tensor(name, t[0], t[1].get<Shape>(), t[2] == "zeros");
  if (!of_case.contains("prefix")) return all;
  Tensors renamed;
  for (auto& [name, t] : all)
    renamed[name.starts_with("model.") ? of_case["prefix"].get<std::string>() + name.substr(6) : name] = std::move(t);
  return renamed;
}

void save(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

void save(const fs::path& path, const Tensors& all) {
  json header{{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const auto& [name, t] : all) {
    header[name] = {
        {"dtype", t.dtype}, {"shape", t.shape}, {"data_offsets", {data.size(), data.size() + t.bytes.size()}}};
    data += t.bytes;
  }
  const std::string text = header.dump();
  const std::uint64_t n = text.size();
  save(path, std::string(reinterpret_cast<const char*>(&n), 8) + text + data);
}

void save_shards(const fs::path& dir, const std::string& folder, const Tensors& all) {
  std::map<std::string, Tensors> files;
  json map;
  std::size_t i = 0;
  for (const auto& [name, t] : all) {
    const std::string file = folder + (i++ % 2 == 0 ? "model-00001-of-00002" : "model-00002-of-00002") + ".safetensors";
    files[file][name] = t;
    map[name] = file;
  }
  for (const auto& [file, part] : files) save(dir / file, part);
  save(dir / "model.safetensors.index.json", json{{"metadata", json::object()}, {"weight_map", map}}.dump());
}

}  // namespace

Directories::Directories() {
  std::ifstream in(fs::path(SLUICE_SOURCE_DIR) / "tests/engine/golden/directories.json");
  golden_ = json::parse(in);
}

json Directories::config(const json& of_case) const {
  json c = golden_["config"];
  c.update(of_case.value("set", json::object()));
  for (const auto& key : of_case.value("unset", json::array())) c.erase(key.get<std::string>());
  return c;
}

fs::path Directories::write(const json& of_case, const fs::path& root) const {
  const json c = config(of_case);
  const Tensors all = tensors(of_case, c);
  const std::string layout = of_case.value("layout", "single");
  if (layout == "links") {
    // As the Hugging Face cache: blobs by digest, a snapshot of links.
    save(root / "blobs/0123abcd", all);
    save(root / "blobs/4567cdef", c.dump());
    fs::create_directory(root / "snapshot");
    fs::create_symlink("../blobs/0123abcd", root / "snapshot/model.safetensors");
    fs::create_symlink("../blobs/4567cdef", root / "snapshot/config.json");
    return root / "snapshot";
  }
  save(root / "config.json", c.dump());
  if (of_case.contains("generation")) save(root / "generation_config.json", of_case["generation"].dump());
  if (layout == "shards" || layout == "subfolder")
    save_shards(root, layout == "subfolder" ? "weights/" : "", all);
  else
    save(root / "model.safetensors", all);
  if (layout == "both") save(root / "model.safetensors.index.json", R"({"weight_map": {"x": "gone.safetensors"}})");
  return root;
}

std::map<std::string, std::vector<float>> Directories::logits(const json& of_case) const {
  if (of_case.contains("same_as")) return logits(cases().at(of_case["same_as"].get<std::string>()));
  const std::string follows = of_case.value("follows", "");
  std::map<std::string, std::vector<float>> out;
  for (const auto& [version, result] : of_case["transformers"].items())
    if (version.starts_with(follows) && result.is_array()) out[version] = result.get<std::vector<float>>();
  return out;
}

}  // namespace sluice::test
