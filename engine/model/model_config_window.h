#pragma once
// Which layers attend within a sliding window. Private to model_config*.cpp.
#include "common/json/reader.h"
#include "engine/model/model_config.h"

namespace sluice::engine {

/// Sets c.window; family and layers must be known.
[[nodiscard]] Result<> parse_window(JsonObject& f, std::uint32_t max_window, ModelConfig& c);

}  // namespace sluice::engine
