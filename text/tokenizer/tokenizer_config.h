#pragma once
// What transformers (4.57) makes of tokenizer_config.json when it loads a tokenizer.json: some classes put a
// post-processor of their own in the place of the file's, and the space before the text is the configuration's too.
#include <nlohmann/json.hpp>

#include "text/tokenizer/tokenizer_json.h"

namespace sluice::text {

/// Changes `spec` (the parsed tokenizer.json) as the class that `config` names would. Throws LoadError, as transformers
/// raises, when a token is to be put around the text that there is none of.
void apply_tokenizer_config(const JsonItem& config, nlohmann::json& spec);

}  // namespace sluice::text
