#pragma once
// Python's str on UTF-8: characters are code points. Parts of a text are given as bytes [begin, end), so that the
// caller can take their origin along.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/characters.h"
#include "text/jinja/text.h"

namespace sluice::text::jinja {

struct Span {
  std::size_t begin = 0, end = 0;
};
using TakeSpan = std::function<void(Span)>;

enum class Side { left, right, both };
/// str.strip, lstrip and rstrip; `chars` unset: whitespace.
[[nodiscard]] Span strip(std::string_view s, Side side, std::optional<std::string_view> chars = {});

/// str.split(sep, maxsplit), a part at a time; `sep` unset: runs of whitespace. maxsplit < 0: no bound. `sep` is not
/// empty. rsplit gives the parts from the right.
void split(std::string_view s, std::optional<std::string_view> sep, std::int64_t maxsplit, const TakeSpan& take);
void rsplit(std::string_view s, std::optional<std::string_view> sep, std::int64_t maxsplit, const TakeSpan& take);
void splitlines(std::string_view s, bool keep_ends, const TakeSpan& take);

/// str.replace(from, to, count); count < 0: all.
[[nodiscard]] Text replace(const Text& s, std::string_view from, const Text& to, std::int64_t count, Budget& budget);

[[nodiscard]] Text upper(const Text& s, Budget& budget);
[[nodiscard]] Text lower(const Text& s, Budget& budget);
[[nodiscard]] Text casefold(const Text& s, Budget& budget);
[[nodiscard]] Text swapcase(const Text& s, Budget& budget);
[[nodiscard]] Text capitalize(const Text& s, Budget& budget);
/// str.title(): a letter after a character without case is in title case.
[[nodiscard]] Text title(const Text& s, Budget& budget);

/// str.islower(), isupper() and istitle().
[[nodiscard]] bool is_lower(std::string_view s);
[[nodiscard]] bool is_upper(std::string_view s);
[[nodiscard]] bool is_title(std::string_view s);

/// markupsafe's escape of a text; of Markup the text itself.
[[nodiscard]] Text escape(const Text& s, Budget& budget);
/// repr(); with `ascii` Python's ascii().
[[nodiscard]] Text string_repr(const Text& s, Budget& budget, bool ascii = false);

}  // namespace sluice::text::jinja
