#pragma once
// Which model a configuration describes. Private to model_config*.cpp.
#include "common/json/reader.h"
#include "engine/model/model_config.h"

namespace sluice::engine {

/// Sets family and architecture from 'architectures' and 'model_type', either of which may be missing.
[[nodiscard]] Result<> parse_family(JsonObject& f, ModelConfig& c);

}  // namespace sluice::engine
