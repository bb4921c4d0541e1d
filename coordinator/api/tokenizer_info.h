#pragma once
// What /tokenizer_info answers: a model's tokenizer_config.json as tools that tokenize or render chats elsewhere read
// it. As vLLM answers it: an added token is its text alone, names of local files are left out, and chat_template is the
// one template that plain chats use.
// Threading: none; once at start. Failure: invalid_argument when the file is no JSON object.
#include <filesystem>
#include <string>

#include "common/result.h"

namespace sluice::coordinator {

/// JSON text; empty where the model has no tokenizer_config.json.
[[nodiscard]] Result<std::string> load_tokenizer_info(const std::filesystem::path& model_dir);

}  // namespace sluice::coordinator
