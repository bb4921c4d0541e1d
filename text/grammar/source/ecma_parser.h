#pragma once
// Regular expressions as JSON schemas and users of guided decoding write them (ECMA-262, and Python where it means the
// same) to text/regex's tree. Where the two read a class otherwise (\d, \w, \s, the dot), what matches is what matches
// in both, so that either's validator agrees. What they read in conflict, and what is no regular language (look-around,
// backreferences), is refused by name.
//
// Why not text/regex's parser: that one reads Oniguruma's dialect, where [a&&b], [[a]], \h, ^ and $ mean other things.
#include <string_view>

#include "common/result.h"
#include "text/grammar/grammar.h"
#include "text/regex/syntax.h"

namespace sluice::text::grammar {

/// `^` and `$` come as the places text_begin and text_end; sets hold no surrogates. The message says at which byte.
[[nodiscard]] Result<regex::NodePtr> parse_ecma(std::string_view pattern, const GrammarLimits& limits);

}  // namespace sluice::text::grammar
