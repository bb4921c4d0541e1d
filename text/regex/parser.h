#pragma once
// Oniguruma's syntax (the dialect of tokenizer.json's patterns) to a tree. What Oniguruma refuses is refused; what it
// knows and this engine does not is refused by name, so that no pattern gets another meaning.
#include <string_view>

#include "common/result.h"
#include "text/regex/syntax.h"

namespace sluice::text::regex {

/// The message says what is wrong and at which byte.
[[nodiscard]] Result<NodePtr> parse(std::string_view pattern);

}  // namespace sluice::text::regex
