#pragma once
// Reads both spellings of rotary embedding settings. Private to model_config*.cpp.
#include "engine/model/model_config.h"
#include "engine/model/model_config_fields.h"

namespace sluice::engine {

[[nodiscard]] Result<RopeConfig> parse_rope(const ConfigFields& config, std::uint32_t max_position);

}  // namespace sluice::engine
