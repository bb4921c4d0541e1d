#pragma once
// The formats of JSON Schema as expressions for the whole text. Each is as narrow as the RFC and the validators in use,
// so that what comes out is accepted by either.
#include <optional>
#include <string_view>

namespace sluice::text::grammar {

struct Format {
  std::string_view pattern;  // empty: any text (the format says how to show it, not what it is)
};
[[nodiscard]] std::optional<Format> string_format(std::string_view name);
/// All names, for an error's text.
[[nodiscard]] std::string_view format_names();

}  // namespace sluice::text::grammar
