#pragma once
// The formats in which models write tool calls and reasoning, by the names that --tool-call-parser and
// --reasoning-parser know them by. Pure functions, thread-safe.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"
#include "text/output/output_parser.h"
#include "text/output/reasoning_parser.h"

namespace sluice::text::output {

enum class ToolFormat : std::uint8_t {
  none,          // calls are not told from text
  hermes,        // <tool_call>{"name": ..., "arguments": ...}</tool_call>
  llama3_json,   // {"name": ..., "parameters": ...}; ...
  mistral,       // [TOOL_CALLS] [{"name": ..., "arguments": ...}, ...]
  mistral_args,  // [TOOL_CALLS]name[ARGS]{...}: the same parser, as newer templates write it
  pythonic,      // [f(a=1), g()]
};
enum class ReasoningFormat : std::uint8_t {
  none,
  deepseek_r1,  // <think>...</think>; the opening tag may be missing
  qwen3,        // <think>...</think>, where the text or the prompt opens it
  granite,      // Here is my thought process: ... Here is my response: ...
  mistral,      // [THINK]...[/THINK]
};

/// What one model writes.
struct OutputFormats {
  ToolFormat tools = ToolFormat::none;
  ReasoningFormat reasoning = ReasoningFormat::none;
};

[[nodiscard]] std::string_view name(ToolFormat format) noexcept;
[[nodiscard]] std::string_view name(ReasoningFormat format) noexcept;

/// "auto": what the chat template that shows tools says of calls; none where it says nothing that is known. Else a
/// format's name or "none"; another is invalid_argument, and the message lists them.
[[nodiscard]] Result<ToolFormat> tool_format(std::string_view name, std::string_view chat_template);
[[nodiscard]] Result<ReasoningFormat> reasoning_format(std::string_view name);

/// The tags around reasoning; none, for none.
[[nodiscard]] const ReasoningTags& tags_of(ReasoningFormat format);
/// Whether an answer to this prompt begins inside of reasoning.
[[nodiscard]] bool begins_inside(ReasoningFormat format, std::string_view prompt);

struct ParserOptions {
  bool calls = false;   // tools were offered
  bool eager = false;   // a call is told as it is written (call_parser.h)
  bool inside = false;  // begins_inside()
};
/// Null where all is content.
[[nodiscard]] std::unique_ptr<OutputParser> make_parser(const OutputFormats& formats, const ParserOptions& options);

}  // namespace sluice::text::output
