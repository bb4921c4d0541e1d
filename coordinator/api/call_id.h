#pragma once
// Ids of tool calls: clients send them back with the results, and templates may print them. Thread-safe.
#include <cstddef>
#include <string>
#include <string_view>

#include "text/output/formats.h"

namespace sluice::coordinator {

/// "call_" and 24 random letters and digits; nine of them where a template of Mistral's checks that.
[[nodiscard]] std::string new_call_id(text::output::ToolFormat format);

/// PREFIX_ANSWER_INDEX, which is unique where answers' ids are; but nine letters and digits for such a template.
[[nodiscard]] std::string call_id_of(text::output::ToolFormat format, std::string_view prefix, std::string_view answer,
                                     std::size_t index);

}  // namespace sluice::coordinator
