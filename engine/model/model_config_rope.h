#pragma once
// Reads both spellings of rotary embedding settings. Private to model_config*.cpp.
#include "common/json/reader.h"
#include "engine/model/model_config.h"

namespace sluice::engine {

[[nodiscard]] Result<RopeConfig> parse_rope(JsonObject& config, std::uint32_t max_position);

}  // namespace sluice::engine
