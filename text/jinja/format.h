#pragma once
// Python's ways to format: str.format with its language of field specifications, the % operator, and padding.
#include <string_view>

#include "text/jinja/arguments.h"

namespace sluice::text::jinja {

enum class Align { left, right, center, middle };  // the last two put an odd space on different sides
/// str.ljust, rjust and center, and the specification's ^; `fill` null: spaces, else one character.
[[nodiscard]] Text pad_text(const Text& s, std::int64_t width, const Text* fill, Align align, Budget& budget);

/// str.format(*args, **kwargs); of Markup, what is put in is escaped.
[[nodiscard]] Text format_text(const Text& format, const Args& args, Budget& budget);
/// A mapping's items as named arguments.
[[nodiscard]] Args keywords_of(const Value& mapping, Budget& budget);
/// format(value, spec)
[[nodiscard]] Text format_value(const Value& v, std::string_view spec, Budget& budget);

/// format % values
[[nodiscard]] Text percent_format(const Text& format, const Value& values, Budget& budget);

/// A float as C's printf has it: `type` is one of eEfFgG.
[[nodiscard]] std::string format_float(double d, char type, std::int64_t precision, bool alternate);

}  // namespace sluice::text::jinja
