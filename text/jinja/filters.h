#pragma once
// Jinja's filters and tests, as far as chat templates use them. Lazy iterators of the original are lists here.
#include <string_view>

#include "text/jinja/arguments.h"

namespace sluice::text::jinja {

[[nodiscard]] Value apply_filter(std::string_view name, const Value& input, const Args& args, Budget& budget);
[[nodiscard]] bool apply_test(std::string_view name, const Value& input, const Args& args, Budget& budget);

}  // namespace sluice::text::jinja
