#pragma once
// From the tree of a pattern to the program that regex/matcher runs.
#include "common/result.h"
#include "text/regex/program.h"

namespace sluice::text::regex {

/// Refuses what the machine can't run (a repeat of what may be empty, a lookbehind of varying length) and what is too
/// big.
[[nodiscard]] Result<Program> compile(const Node& tree);

}  // namespace sluice::text::regex
