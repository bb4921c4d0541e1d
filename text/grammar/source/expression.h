#pragma once
// Regular expressions as a part of a grammar, characters spelled as the place needs it.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "text/grammar/source/spelling.h"
#include "text/regex/syntax.h"

namespace sluice::text::grammar {

/// Texts that the expression matches: the whole of them, or a part (`anywhere`).
[[nodiscard]] Result<NodeIndex> add_expression(const regex::Node& tree, bool anywhere, Spelling& spelling,
                                               const std::string& name);

/// The set and counts of an expression that is nothing but one repeated set between ^ and $ (^[a-z]{1,9}$).
struct RepeatedSet {
  const CodePointSet* set;
  std::uint32_t least, most;
};
[[nodiscard]] std::optional<RepeatedSet> repeated_set(const regex::Node& tree, bool anywhere);

/// How many characters the texts have that match `tree`; most is Node::kUnbounded where there is no bound. Nothing
/// where the expression matches anywhere and is not held by ^ and $.
struct Lengths {
  std::uint64_t least, most;
};
[[nodiscard]] std::optional<Lengths> lengths(const regex::Node& tree, bool anywhere);

}  // namespace sluice::text::grammar
