#include "text/output/call_grammar.h"

#include <string_view>
#include <vector>

#include "text/grammar/sources.h"

namespace sluice::text::output {
namespace {

using grammar::Grammar;
using grammar::Node;
using grammar::NodeIndex;

NodeIndex any_text(Grammar& g) { return g.repeat(g.chars(CodePointSet(0, CodePointSet::kMax)), 0); }

NodeIndex without(Grammar& g, const std::vector<std::string_view>& tags) {
  const std::vector<std::string> texts(tags.begin(), tags.end());
  return grammar::text_without(g, texts);
}

NodeIndex one_of(Grammar& g, const std::vector<std::string_view>& tags) {
  std::vector<NodeIndex> literals;
  for (const auto tag : tags) literals.push_back(g.literal(tag));
  return g.choice(std::move(literals));
}

/// How a format writes calls.
struct Style {
  std::string_view tag;                     // what a call among other text begins with; empty: only the text's start
  bool tag_each = false;                    // before each call, or once before all
  std::string_view open{}, close{};         // around all calls, behind the tag
  std::string_view before, between, after;  // around a call's name and arguments
  std::string_view separator{};             // between calls
  std::string_view bare_starts{};           // characters that begin calls without a tag: other text begins with none
};

Style style_of(ToolFormat format) {
  switch (format) {
    case ToolFormat::llama3_json:
      return {.tag = "<|python_tag|>",
              .before = R"({"name": ")",
              .between = R"(", "parameters": )",
              .after = "}",
              .separator = "; ",
              .bare_starts = "{< \t\r\n"};
    case ToolFormat::mistral:
      return {.tag = "[TOOL_CALLS]",
              .open = "[",
              .close = "]",
              .before = R"({"name": ")",
              .between = R"(", "arguments": )",
              .after = "}",
              .separator = ", "};
    case ToolFormat::mistral_args:
      return {.tag = "[TOOL_CALLS]", .tag_each = true, .before = "", .between = "[ARGS]", .after = ""};
    case ToolFormat::pythonic:
      return {.tag = "<|python_start|>",
              .open = "[",
              .close = "]",
              .before = "",
              .between = "(**",
              .after = ")",
              .separator = ", ",
              .bare_starts = "[< \t\r\n"};
    default:  // hermes
      return {.tag = "<tool_call>",
              .tag_each = true,
              .before = "\n{\"name\": \"",
              .between = "\", \"arguments\": ",
              .after = "}\n</tool_call>",
              .separator = "\n"};
  }
}

NodeIndex one_call(Grammar& g, std::span<const CallRule> rules, const Style& s) {
  std::vector<NodeIndex> calls;
  for (const auto& r : rules) {
    std::string head(s.before);
    head.append(r.name).append(s.between);
    calls.push_back(g.sequence({g.literal(head), r.arguments, g.literal(s.after)}));
  }
  return g.choice(std::move(calls));
}

/// Calls behind the first tag.
NodeIndex calls_behind_tag(Grammar& g, std::span<const CallRule> rules, const Style& s, bool parallel) {
  const NodeIndex call = one_call(g, rules, s);
  std::vector<NodeIndex> all = {g.literal(s.open), call};
  if (parallel) {
    std::string link(s.separator);
    if (s.tag_each) link += s.tag;
    all.push_back(g.repeat(g.sequence({g.literal(link), call}), 0));
  }
  all.push_back(g.literal(s.close));
  return g.sequence(std::move(all));
}

/// Text that does not begin as calls without a tag do.
NodeIndex other_text(Grammar& g, const Style& s, NodeIndex rest) {
  CodePointSet starts;
  for (const char c : s.bare_starts) starts.add(static_cast<char32_t>(c), static_cast<char32_t>(c));
  return g.sequence({g.chars(starts.complement()), rest});
}

}  // namespace

NodeIndex add_calls(Grammar& g, std::span<const CallRule> rules, ToolFormat format, bool parallel) {
  const Style s = style_of(format);
  const NodeIndex calls = calls_behind_tag(g, rules, s, parallel);
  return s.bare_starts.empty() ? g.sequence({g.literal(s.tag), calls}) : calls;
}

NodeIndex add_text_with_calls(Grammar& g, std::span<const CallRule> rules, ToolFormat format, bool parallel) {
  const Style s = style_of(format);
  const NodeIndex calls = calls_behind_tag(g, rules, s, parallel);
  const NodeIndex free = without(g, {s.tag});
  const NodeIndex tagged = g.sequence({g.literal(s.tag), calls});
  if (s.bare_starts.empty())
    return g.sequence({free, g.repeat(g.sequence({tagged, free}), 0, parallel ? Node::kUnbounded : 1)});
  if (format == ToolFormat::pythonic) {  // reads calls at the start alone
    const NodeIndex closed = g.sequence({tagged, g.literal("<|python_end|>")});
    return g.choice({calls, closed, g.literal(""), other_text(g, s, any_text(g))});
  }
  return g.choice({calls, tagged, g.literal(""), other_text(g, s, g.sequence({free, g.optional(tagged)}))});
}

NodeIndex add_reasoning(Grammar& g, const ReasoningTags& tags, bool inside, NodeIndex answer) {
  const NodeIndex lines = g.repeat(g.literal("\n"), 0, 2);
  const NodeIndex thought = g.sequence({without(g, tags.close), one_of(g, tags.close), lines, answer});
  if (inside) return thought;
  return g.choice({g.sequence({one_of(g, tags.open), thought}), answer});
}

}  // namespace sluice::text::output
