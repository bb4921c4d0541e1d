#pragma once
// Tokens to tree, by Jinja's grammar and precedence. Throws Fault with the line at fault, also for the constructs of
// Jinja that need more than one template (include, import, extends) and those that chat templates have no use for.
#include <string_view>

#include "text/jinja/ast.h"

namespace sluice::text::jinja {

[[nodiscard]] Template parse_template(std::string_view source, const Limits& limits);

}  // namespace sluice::text::jinja
