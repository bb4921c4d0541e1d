#pragma once
// A model's weights in the form the forward pass wants them: matrices packed by the backend, vectors as f32.
//
// Failure: every tensor the configuration implies must exist with exactly the shape and a type we read, checked for
// all of them before the first byte is copied; errors name the tensor. Nothing refers to the checkpoint afterwards.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "engine/model/model_config.h"
#include "engine/model/safetensors.h"
#include "engine/ops.h"

namespace sluice::engine {

/// Called now and then while weights load: bytes done, bytes in all.
using LoadProgress = std::function<void(std::uint64_t, std::uint64_t)>;

struct LayerWeights {
  std::vector<float> input_norm;          // [hidden]
  std::unique_ptr<PackedMatrix> qkv;      // [q_size + 2 * kv_size, hidden]
  std::vector<float> qkv_bias;            // [q_size + 2 * kv_size]; empty: none
  std::vector<float> q_norm, k_norm;      // [head_dim]; empty: none
  std::unique_ptr<PackedMatrix> out;      // [hidden, q_size]
  std::vector<float> post_norm;           // [hidden], before the MLP
  std::unique_ptr<PackedMatrix> gate_up;  // [2 * ffn, hidden]
  std::unique_ptr<PackedMatrix> down;     // [hidden, ffn]
};

/// Token embeddings in the file's own type: [vocab, hidden].
class EmbeddingTable {
 public:
  EmbeddingTable() = default;
  explicit EmbeddingTable(const WeightView& w);
  /// out: [hidden].
  void row(TokenId token, float* out) const noexcept;

 private:
  std::unique_ptr<std::byte[]> data_;
  DType dtype_ = DType::bf16;
  std::uint32_t width_ = 0;
};

struct Weights {
  EmbeddingTable embedding;
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;       // [hidden]
  std::unique_ptr<PackedMatrix> head;  // [vocab, hidden]
  std::string hash;                    // xxh3-128 over ModelConfig::canonical() and every tensor, hex
};

[[nodiscard]] Result<Weights> load_weights(const ModelConfig& config, const Checkpoint& checkpoint, Ops& ops,
                                           const LoadProgress& progress);

}  // namespace sluice::engine
