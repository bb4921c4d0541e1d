#pragma once
// Sets of characters in ECMA regular expressions: escapes that stand for one or several, and classes in brackets.
#include <optional>

#include "common/result.h"
#include "text/regex/class_parser.h"
#include "text/unicode/code_point_set.h"

namespace sluice::text::grammar {

/// Unicode without the surrogates, which no text holds.
[[nodiscard]] const CodePointSet& scalar_values();

/// How to read a class that dialects read otherwise: only what is in all readings, or what is in any.
enum class Reading { narrow, wide };

/// Reads an escape that stands for characters; `c` is at the backslash.
[[nodiscard]] Result<regex::Escape> ecma_escape(regex::Cursor& c, bool in_class, Reading reading);

/// Reads a class; `c` is at its '['.
[[nodiscard]] Result<CodePointSet> ecma_class(regex::Cursor& c);

/// What a dot matches.
[[nodiscard]] const CodePointSet& ecma_dot();

}  // namespace sluice::text::grammar
