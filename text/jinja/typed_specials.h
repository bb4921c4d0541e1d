#pragma once
// Special tokens that a client typed into a chat must stay text: only the template's own may end a turn or begin a
// role.
//
// Rendering mixes both into one text, which knows of each byte who wrote it (text.h). When it is done, every special
// token spelled in the prompt that holds a byte of the client's is told to the tokenizer, which leaves it text. So a
// client cannot make one of parts either, nor by what the template does to its text (lower, replace, join).
// Pure functions; thread-safe.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/text.h"

namespace sluice::text {

/// Where a text spells special tokens: ascending offsets, each behind the first byte of one
/// (Tokenizer::special_starts).
using FindTyped = std::function<std::vector<std::size_t>(std::string_view)>;

/// A rendered chat: its text, and ascending offsets inside special tokens in it that a client typed.
struct RenderedChat {
  std::string text;
  std::vector<std::size_t> typed{};
};

[[nodiscard]] RenderedChat tell_typed(jinja::Text rendered, const FindTyped& find);

}  // namespace sluice::text
