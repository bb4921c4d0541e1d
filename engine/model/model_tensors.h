#pragma once
// Which of a checkpoint's tensors make up the model, under the names that transformers gives them.
//
// Failure: a tensor that the configuration implies must exist with exactly its shape and a type we read. A tensor that
// it does not imply is let be where it cannot matter, and refused where the model would compute something else with it.
// All of it is checked before a byte of weights is copied; errors name file and tensor.
#include <string>
#include <vector>

#include "common/result.h"
#include "engine/dtype.h"
#include "engine/model/model_config.h"
#include "engine/model/safetensors.h"

namespace sluice::engine {

inline constexpr const char* kEmbeddingTensor = "model.embed_tokens.weight";
inline constexpr const char* kNormTensor = "model.norm.weight";
inline constexpr const char* kHeadTensor = "lm_head.weight";

/// "model.layers.{layer}.{rest}"
[[nodiscard]] std::string layer_tensor(std::uint32_t layer, std::string_view rest);

/// Tensors that every model computes with have one of these types.
[[nodiscard]] std::optional<DType> weight_dtype(std::string_view name);

struct ModelTensors {
  TensorMap used;                  // exactly what the configuration implies
  std::vector<std::string> notes;  // what was ignored, in words for the log
};

/// `source`: the file that lists the tensors, for errors. The views of `file` must outlive the result's use.
[[nodiscard]] Result<ModelTensors> select_tensors(const ModelConfig& config, const TensorMap& file,
                                                  const std::string& source);

}  // namespace sluice::engine
