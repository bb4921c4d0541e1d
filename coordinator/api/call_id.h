#pragma once
// Ids of tool calls: clients send them back with the results, and templates may print them. Thread-safe.
#include <string>

#include "text/output/formats.h"

namespace sluice::coordinator {

/// "call_" and 24 random letters and digits; nine of them where a template of Mistral's checks that.
[[nodiscard]] std::string new_call_id(text::output::ToolFormat format);

}  // namespace sluice::coordinator
