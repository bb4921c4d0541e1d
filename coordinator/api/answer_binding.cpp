#include "coordinator/api/answer_binding.h"

#include <algorithm>
#include <utility>

#include "coordinator/api/structured_fields.h"
#include "text/grammar/sources.h"
#include "text/output/call_grammar.h"

namespace sluice::coordinator {

namespace {

using nlohmann::ordered_json;
using text::grammar::Grammar;
using text::grammar::NodeIndex;
using text::output::CallRule;
using text::output::ReasoningFormat;
using text::output::ToolFormat;

ApiError invalid(std::string message, std::string param) {
  return ApiError::invalid(std::move(message), std::move(param), "invalid_value");
}

bool is_strict(const ordered_json& function) { return function.contains("strict") && function["strict"] == true; }

bool allows(const ToolChoice& choice, const ordered_json& tool) {
  if (choice.allowed.empty()) return true;
  const auto& name = tool["function"]["name"].get_ref<const std::string&>();
  return std::ranges::find(choice.allowed, name) != choice.allowed.end();
}

/// What the arguments of one function are kept to.
Result<NodeIndex> add_arguments(Grammar& g, const ordered_json& function, bool by_schema) {
  const text::grammar::SchemaOptions compact{.any_whitespace = false};
  ordered_json schema = {{"type", "object"}};
  const auto given = function.find("parameters");
  const bool none = given == function.end() || given->is_null();
  if (by_schema && none) return g.literal("{}");  // OpenAI: a function without parameters
  if (by_schema) {
    schema = *given;
    if (!schema.contains("type")) schema["type"] = "object";
  }
  return add_json_schema(g, schema, compact);
}

/// A rule for each tool that may be called. all: by their schemas, strict or not.
ApiResult<std::vector<CallRule>> add_tools(Grammar& g, const ChatPrompt& chat, bool all) {
  std::vector<CallRule> rules;
  for (std::size_t i = 0; i < chat.tools.size(); ++i) {
    if (!allows(chat.choice, chat.tools[i])) continue;
    const ordered_json& f = chat.tools[i]["function"];
    const auto arguments = add_arguments(g, f, all || is_strict(f));
    const std::string param = fmt::format("tools[{}].function.parameters", i);
    if (!arguments)
      return std::unexpected(
          invalid(fmt::format("'{}' cannot be kept to: {}.", param, arguments.error().message), param));
    rules.push_back({f["name"].get<std::string>(), *arguments});
  }
  return rules;
}

ApiResult<> bind(const Grammar& g, std::string_view param, GenerateRequest& q) {
  auto bound = leg_grammar(g);
  if (!bound) {
    auto e = ApiError::from(bound.error());
    e.param = param;
    return std::unexpected(std::move(e));
  }
  q.sampling.grammar = *std::move(bound);
  return {};
}

}  // namespace

ApiResult<> bind_chat(const ChatPrompt& chat, const text::output::OutputFormats& formats, bool inside,
                      GenerateRequest& q) {
  using enum ToolChoice::Mode;
  const ToolChoice& choice = chat.choice;
  const bool tools = !chat.tools.empty();
  const bool formed = !q.sampling.grammar.empty();
  const bool forced = tools && choice.mode != automatic;
  const bool strict = tools && std::ranges::any_of(chat.tools, [](const auto& t) { return is_strict(t["function"]); });
  const bool restricted = tools && (!choice.parallel || !choice.allowed.empty());
  if (formats.tools == ToolFormat::none && (forced || strict || restricted)) {
    constexpr std::string_view kWhy =
        "needs to know how the model writes tool calls, which its chat template does not "
        "tell; start the coordinator with --tool-call-parser";
    const char* param = forced || !choice.allowed.empty() ? "tool_choice" : strict ? "tools" : "parallel_tool_calls";
    return std::unexpected(invalid(fmt::format("'{}' {}.", param, kWhy), param));
  }
  if (forced && formed)
    return std::unexpected(
        invalid("'tool_choice' demands a call, and another field says what form the answer has; "
                "let tool_choice be \"auto\", or leave that field out.",
                "tool_choice"));
  const bool calls = formats.tools != ToolFormat::none && (forced || strict || restricted || (tools && formed));
  const bool thinks = formats.reasoning != ReasoningFormat::none;
  if (!calls && !(formed && thinks)) return {};  // bound as it is to be, or free

  Grammar g;
  NodeIndex root = 0;
  if (formed) {
    auto form = text::grammar::from_ebnf(q.sampling.grammar.value());
    if (!form) return std::unexpected(ApiError::from(form.error()));
    g = *std::move(form);
    root = g.root();
  }
  if (calls) {
    SLUICE_ASSIGN(const auto rules, add_tools(g, chat, forced));
    const bool among_text = !forced && !formed;
    const NodeIndex part = among_text ? add_text_with_calls(g, rules, formats.tools, choice.parallel)
                                      : add_calls(g, rules, formats.tools, choice.parallel);
    root = formed ? g.choice({part, root}) : part;
  }
  if (thinks) root = add_reasoning(g, text::output::tags_of(formats.reasoning), inside, root);
  g.set_root(root);
  return bind(g, calls ? "tools" : "response_format", q);
}

}  // namespace sluice::coordinator
