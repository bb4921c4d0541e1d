#pragma once
// Python's str on UTF-8: characters are code points. Pure functions; inputs are well-formed UTF-8 but for the marks of
// typed_specials.h, which every function keeps.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/budget.h"

namespace sluice::text::jinja {

[[nodiscard]] std::size_t character_count(std::string_view s) noexcept;
[[nodiscard]] std::vector<std::string_view> characters(std::string_view s, Budget& budget);

/// str.isspace() of one character, a superset of Unicode's White_Space.
[[nodiscard]] bool is_py_space(char32_t c) noexcept;

enum class Side { left, right, both };
/// str.strip, lstrip and rstrip; `chars` unset: whitespace.
[[nodiscard]] std::string_view strip(std::string_view s, Side side, std::optional<std::string_view> chars = {});

/// str.split(sep, maxsplit); `sep` unset: runs of whitespace. maxsplit < 0: no bound. `sep` is not empty.
[[nodiscard]] std::vector<std::string_view> split(std::string_view s, std::optional<std::string_view> sep,
                                                  std::int64_t maxsplit);
[[nodiscard]] std::vector<std::string_view> rsplit(std::string_view s, std::optional<std::string_view> sep,
                                                   std::int64_t maxsplit);
[[nodiscard]] std::vector<std::string_view> splitlines(std::string_view s);

/// str.replace(from, to, count); count < 0: all. Charges the result before making it.
[[nodiscard]] std::string replace(std::string_view s, std::string_view from, std::string_view to, std::int64_t count,
                                  Budget& budget);

[[nodiscard]] std::string upper(std::string_view s);
[[nodiscard]] std::string lower(std::string_view s);
[[nodiscard]] std::string capitalize(std::string_view s);
/// str.title(): a letter after a non-letter is upper case.
[[nodiscard]] std::string title(std::string_view s);

/// repr() of a float: the shortest digits that read back, as Python lays them out.
[[nodiscard]] std::string float_repr(double d);
[[nodiscard]] std::string string_repr(std::string_view s);

}  // namespace sluice::text::jinja
