#pragma once
// Unicode properties as the reference tokenizer has them: each of its parts carries data of another age, and a model's
// ids depend on them. The tables are generated (tools/golden/unicode_properties.py). Pure functions, thread-safe.
#include <optional>
#include <string_view>

#include "text/unicode/code_point_set.h"

namespace sluice::text {

/// The set behind \p{name} of a regular expression: general categories, scripts and the common binary properties, by
/// long or short name; case, spaces, '-' and '_' do not count. Nothing for a name not known here.
[[nodiscard]] std::optional<CodePointSet> unicode_property(std::string_view name);

/// The set behind [:name:] inside a class, where it differs from \p{name} (punct).
[[nodiscard]] std::optional<CodePointSet> posix_class(std::string_view name);

/// What the Punctuation pre-tokenizer splits at: ASCII punctuation and the category P of an old Unicode version.
[[nodiscard]] const CodePointSet& punctuation();
/// What the Digits pre-tokenizer splits at (Rust's char::is_numeric).
[[nodiscard]] const CodePointSet& digits();
/// \w of Rust's regex crate, which decides whether an added token stands alone as a word.
[[nodiscard]] const CodePointSet& word_characters();

}  // namespace sluice::text
