#pragma once
// Grammars of tool calls: what a model may write where it must call, or may. In each format as its models write it, so
// that its parser reads what its grammar allows. Pure functions, thread-safe. Failure: none; sizes are
// Grammar::check's.
#include <span>
#include <string>

#include "text/grammar/grammar.h"
#include "text/output/formats.h"

namespace sluice::text::output {

struct CallRule {
  std::string name;              // of the function: is_name_byte()s only
  grammar::NodeIndex arguments;  // a JSON object
};

/// Calls of these functions, one or more; parallel: several may stand in one answer. format: not none.
[[nodiscard]] grammar::NodeIndex add_calls(grammar::Grammar& grammar, std::span<const CallRule> rules,
                                           ToolFormat format, bool parallel);

/// Any text, but where it begins a call, it is one of these.
[[nodiscard]] grammar::NodeIndex add_text_with_calls(grammar::Grammar& grammar, std::span<const CallRule> rules,
                                                     ToolFormat format, bool parallel);

/// Free reasoning, and `answer` behind it. inside: the text begins with reasoning; else it may begin with it.
[[nodiscard]] grammar::NodeIndex add_reasoning(grammar::Grammar& grammar, const ReasoningTags& tags, bool inside,
                                               grammar::NodeIndex answer);

}  // namespace sluice::text::output
