#pragma once
// Special tokens that a client typed into a chat must stay text: only the template's own may end a turn or begin a
// role.
//
// Rendering mixes both into one string. So what was typed is marked on its way into the template, the marks travel with
// their text through whatever the template trims, splits or joins, and are taken out of the rendered prompt again: its
// bytes are those transformers renders, and the tokenizer is told where the marks were. A mark is the byte 0xFF, which
// no UTF-8 holds and so no message and no template. Input that spells no special token has no marks.
// Pure functions; thread-safe.
#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::text {

inline constexpr char kTypedMark = '\xFF';

/// Where marks go in a client's string: ascending offsets (Tokenizer::special_starts).
using FindTyped = std::function<std::vector<std::size_t>(std::string_view)>;

/// A rendered chat: its text, and ascending offsets inside special tokens in it that a client typed.
struct RenderedChat {
  std::string text;
  std::vector<std::size_t> typed{};
};

[[nodiscard]] inline std::string mark_typed(std::string_view s, const FindTyped& find) {
  std::string out;
  std::size_t done = 0;
  for (const std::size_t at : find(s)) {
    (out += s.substr(done, at - done)) += kTypedMark;
    done = at;
  }
  return out += s.substr(done);
}

[[nodiscard]] inline RenderedChat take_marks(std::string marked) {
  RenderedChat out;
  for (std::size_t i = 0; i < marked.size(); ++i)
    if (marked[i] == kTypedMark) out.typed.push_back(i - out.typed.size());
  if (!out.typed.empty()) std::erase(marked, kTypedMark);
  out.text = std::move(marked);
  return out;
}

}  // namespace sluice::text
