#pragma once
// The filters, tests and functions that every template has, by name; and the names of those of Jinja's that this engine
// does not have, so that a template which needs one is refused when it is loaded.
#include <map>
#include <string_view>

#include "text/jinja/arguments.h"

namespace sluice::text::jinja {

using Filter = Value (*)(const Value& input, const Args& args, Budget& budget);
using Test = bool (*)(const Value& input, const Args& args, Budget& budget);
using Filters = std::map<std::string_view, Filter>;

/// Null if there is none.
[[nodiscard]] Filter find_filter(std::string_view name);
[[nodiscard]] Test find_test(std::string_view name);
[[nodiscard]] bool unsupported_filter(std::string_view name);
[[nodiscard]] bool unsupported_global(std::string_view name);

[[nodiscard]] Value apply_filter(std::string_view name, const Value& input, const Args& args, Budget& budget);
[[nodiscard]] bool apply_test(std::string_view name, const Value& input, const Args& args, Budget& budget);

/// What find_filter looks in; a file each for elements, numbers and text.
[[nodiscard]] const Filters& sequence_filters();
[[nodiscard]] const Filters& selecting_filters();
[[nodiscard]] const Filters& number_filters();
[[nodiscard]] const Filters& text_filters();

}  // namespace sluice::text::jinja
