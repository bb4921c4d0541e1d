#pragma once
// common/text behind the API room's ModelText: tokenizer, streaming detokenizer, chat template of one model directory.
// Threading: load at start; const afterwards, and for any number of threads.
#include <filesystem>
#include <memory>

#include "coordinator/api/model_text.h"

namespace sluice::coordinator {

/// A directory without a chat template serves completions; its chat requests get `unsupported`.
[[nodiscard]] Result<std::unique_ptr<ModelText>> load_model_text(const std::filesystem::path& dir);

}  // namespace sluice::coordinator
