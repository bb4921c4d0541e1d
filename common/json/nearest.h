#pragma once
// "did you mean ...?": which known name somebody most likely meant. A pure function, thread-safe.
#include <span>
#include <string_view>

namespace sluice {

/// The known name nearest to `word` by edits (insert, delete, replace, swap of neighbours), or "" when none is near:
/// at most one edit in three characters.
[[nodiscard]] std::string_view nearest_name(std::string_view word, std::span<const std::string_view> known);

}  // namespace sluice
