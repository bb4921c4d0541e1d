#pragma once
// A model's weights in the form the forward pass wants them: matrices packed by the backend, vectors as f32.
//
// Failure: none of its own; select_tensors() has refused what cannot be loaded. Nothing refers to the checkpoint
// afterwards.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/ids.h"
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
  std::vector<float> out_bias;            // [hidden]; empty: none
  std::vector<float> post_norm;           // [hidden], before the MLP
  std::unique_ptr<PackedMatrix> gate_up;  // [2 * ffn, hidden]
  std::vector<float> gate_up_bias;        // [2 * ffn]; empty: none
  std::unique_ptr<PackedMatrix> down;     // [hidden, ffn]
  std::vector<float> down_bias;           // [hidden]; empty: none
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

/// `tensors`: of select_tensors().
[[nodiscard]] Weights load_weights(const ModelConfig& config, const TensorMap& tensors, Ops& ops,
                                   const LoadProgress& progress);

}  // namespace sluice::engine
