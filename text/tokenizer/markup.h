#pragma once
// Special tokens that are part of what a model writes, rather than of the conversation around it: they mark tool calls
// and reasoning. Whoever reads calls needs their text, and a grammar may demand them. Pure; thread-safe.
#include <algorithm>
#include <array>
#include <string_view>

namespace sluice::text {

[[nodiscard]] inline bool is_markup(std::string_view piece) noexcept {
  constexpr std::array<std::string_view, 12> kMarkup = {
      "<tool_call>",    "</tool_call>", "<think>",   "</think>", "<|python_tag|>", "<|python_start|>",
      "<|python_end|>", "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]",   "[THINK]",        "[/THINK]"};
  return std::ranges::find(kMarkup, piece) != kMarkup.end();
}

}  // namespace sluice::text
