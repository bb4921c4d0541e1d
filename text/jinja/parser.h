#pragma once
// Tokens to tree, by Jinja's grammar and precedence. Throws Fault with the line at fault, also for Jinja's constructs
// that chat templates do not use (include, extends, call blocks, recursive loops, macros inside loops).
#include <string_view>

#include "text/jinja/ast.h"

namespace sluice::text::jinja {

[[nodiscard]] Body parse_template(std::string_view source, const Limits& limits);

}  // namespace sluice::text::jinja
