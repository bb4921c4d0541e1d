#pragma once
// What the coordinator itself must know of the served model, read from its Hugging Face directory: context length,
// vocabulary, default sampling. The nodes check the rest. Threading: start-up only.
#include <filesystem>

#include "coordinator/api/backend.h"

namespace sluice::coordinator {

/// name: what clients ask for; empty means the directory's name. max_model_len 0: what the model allows.
[[nodiscard]] Result<ModelInfo> load_model_info(const std::filesystem::path& dir, const std::string& name,
                                                int max_model_len);

}  // namespace sluice::coordinator
