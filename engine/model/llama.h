#pragma once
// The decoder that Llama, Mistral, Qwen2 and Qwen3 share, written once against Ops.
#include <memory>

#include "engine/model/model.h"
#include "engine/model/weights.h"

namespace sluice::engine {

/// The weights must have been packed by `ops`.
[[nodiscard]] std::unique_ptr<Model> make_llama(ModelConfig config, Weights weights, std::unique_ptr<Ops> ops);

}  // namespace sluice::engine
