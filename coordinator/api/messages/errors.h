#pragma once
// Errors as Anthropic's clients know them: {"type": "error", "error": {"type", "message"}, "request_id"}. The HTTP
// status is the one that the other routes give. Pure functions, thread-safe.
#include <nlohmann/json.hpp>
#include <string_view>

#include "coordinator/http/types.h"

namespace sluice::coordinator {

[[nodiscard]] nlohmann::json messages_error(const ApiError& error, std::string_view request_id);

}  // namespace sluice::coordinator
