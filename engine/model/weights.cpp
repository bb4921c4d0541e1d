#include "engine/model/weights.h"

#include <xxhash.h>

#include <array>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "engine/model/model_tensors.h"

namespace sluice::engine {
namespace {

// Hands out tensors known to be good, digesting each once on the way.
class TensorSource {
 public:
  TensorSource(const TensorMap& tensors, std::uint64_t total_bytes, const LoadProgress& progress)
      : tensors_(tensors), total_(total_bytes), progress_(progress) {}

  /// Valid until release().
  WeightView matrix(std::string_view name) {
    const TensorView& t = take(name);
    return {aligned(t.data), *weight_dtype(t.dtype), static_cast<std::uint32_t>(t.shape[0]),
            static_cast<std::uint32_t>(t.shape[1])};
  }
  void append(std::string_view name, std::vector<float>& out) {
    const TensorView& t = take(name);
    const DType dtype = *weight_dtype(t.dtype);
    const std::size_t begin = out.size();
    out.resize(begin + t.shape[0]);
    widen(aligned(t.data), dtype, t.shape[0], out.data() + begin);
  }
  std::vector<float> vector(std::string_view name) {
    std::vector<float> out;
    append(name, out);
    return out;
  }
  void release() { copies_.clear(); }

  /// Order of loading does not matter: tensors are folded in by name.
  [[nodiscard]] std::string digest(const std::string& config) const {
    std::string text = config;
    for (const auto& [name, d] : digests_) {
      const TensorView& t = tensors_.find(name)->second;
      text += fmt::format("{} {} [{}] {:016x}{:016x}\n", name, t.dtype, fmt::join(t.shape, ","), d.high64, d.low64);
    }
    const XXH128_hash_t h = XXH3_128bits(text.data(), text.size());
    return fmt::format("{:016x}{:016x}", h.high64, h.low64);
  }

  static void widen(const void* from, DType dtype, std::size_t count, float* to) noexcept {
    if (dtype == DType::f32) {
      std::memcpy(to, from, count * sizeof(float));
      return;
    }
    const auto* h = static_cast<const std::uint16_t*>(from);
    for (std::size_t i = 0; i < count; ++i) to[i] = dtype == DType::bf16 ? bf16_to_f32(h[i]) : f16_to_f32(h[i]);
  }

 private:
  const TensorView& take(std::string_view name) {
    const auto it = tensors_.find(name);
    const auto [digest, fresh] = digests_.try_emplace(it->first);
    if (fresh) {
      digest->second = XXH3_128bits(it->second.data.data(), it->second.data.size());
      done_ += it->second.data.size();
      if (progress_) progress_(done_, total_);
    }
    return it->second;
  }
  // Headers are usually padded so that tensors lie aligned, but the format does not promise it.
  const void* aligned(std::span<const std::byte> bytes) {
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(float) == 0) return bytes.data();
    auto& copy = copies_.emplace_back(std::make_unique_for_overwrite<std::byte[]>(bytes.size()));
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    return copy.get();
  }

  const TensorMap& tensors_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  const LoadProgress& progress_;
  std::map<std::string, XXH128_hash_t> digests_;
  std::vector<std::unique_ptr<std::byte[]>> copies_;
};

LayerWeights load_layer(const ModelConfig& c, std::uint32_t i, TensorSource& source, Ops& ops) {
  const auto pack = [&](std::initializer_list<const char*> names) {
    std::vector<WeightView> parts;
    for (const char* n : names) parts.push_back(source.matrix(layer_tensor(i, n)));
    auto packed = ops.pack(parts);
    source.release();
    return packed;
  };
  LayerWeights w;
  w.input_norm = source.vector(layer_tensor(i, "input_layernorm.weight"));
  w.qkv = pack({"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"});
  if (c.qkv_bias)
    for (const char* part : {"self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"})
      source.append(layer_tensor(i, part), w.qkv_bias);
  if (c.qk_norm) {
    w.q_norm = source.vector(layer_tensor(i, "self_attn.q_norm.weight"));
    w.k_norm = source.vector(layer_tensor(i, "self_attn.k_norm.weight"));
  }
  w.out = pack({"self_attn.o_proj.weight"});
  if (c.out_bias) w.out_bias = source.vector(layer_tensor(i, "self_attn.o_proj.bias"));
  w.post_norm = source.vector(layer_tensor(i, "post_attention_layernorm.weight"));
  w.gate_up = pack({"mlp.gate_proj.weight", "mlp.up_proj.weight"});
  w.down = pack({"mlp.down_proj.weight"});
  if (c.mlp_bias) {
    for (const char* part : {"mlp.gate_proj.bias", "mlp.up_proj.bias"})
      source.append(layer_tensor(i, part), w.gate_up_bias);
    w.down_bias = source.vector(layer_tensor(i, "mlp.down_proj.bias"));
  }
  source.release();
  return w;
}

}  // namespace

EmbeddingTable::EmbeddingTable(const WeightView& w)
    : data_(std::make_unique_for_overwrite<std::byte[]>(std::size_t{w.n} * w.k * size_of(w.dtype))),
      dtype_(w.dtype),
      width_(w.k) {
  std::memcpy(data_.get(), w.data, std::size_t{w.n} * w.k * size_of(w.dtype));
}

void EmbeddingTable::row(TokenId token, float* out) const noexcept {
  const std::size_t begin = static_cast<std::size_t>(token) * width_ * size_of(dtype_);
  TensorSource::widen(data_.get() + begin, dtype_, width_, out);
}

Weights load_weights(const ModelConfig& config, const TensorMap& tensors, Ops& ops, const LoadProgress& progress) {
  std::uint64_t total = 0;
  for (const auto& [name, t] : tensors) total += t.data.size();
  TensorSource source(tensors, total, progress);
  Weights w;
  w.embedding = EmbeddingTable(source.matrix(kEmbeddingTensor));
  for (std::uint32_t i = 0; i < config.layers; ++i) w.layers.push_back(load_layer(config, i, source, ops));
  w.final_norm = source.vector(kNormTensor);
  w.head = ops.pack(std::array{source.matrix(config.tie_embeddings ? kEmbeddingTensor : kHeadTensor)});
  w.hash = source.digest(config.canonical());
  return w;
}

}  // namespace sluice::engine
