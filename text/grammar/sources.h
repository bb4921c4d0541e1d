#pragma once
// What users give, made a grammar: checked, and pruned of what no text can match. Pure functions, thread-safe. Failure:
// invalid_argument (or unsupported) whose message names the keyword or place at fault and what to do; a keyword that
// cannot be honoured is refused, never ignored. Time and size are bounded by the limits whatever the input.
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "common/result.h"
#include "text/grammar/grammar.h"

namespace sluice::text::grammar {

struct SchemaOptions {
  /// White space between JSON tokens. False: that of json.dumps (", " and ": "). True: none or one space behind
  /// colons; none, one, or a line break and an indentation behind commas and inside brackets.
  bool any_whitespace = true;
  /// An object whose schema lists properties and says nothing of others has no others, and an array that lists its
  /// first items has no more: what people mean who write them. False: as JSON Schema says, any may follow.
  bool closed = true;
  GrammarLimits limits{};
};

/// JSON documents that validate against `schema` (draft 2020-12, the subset of docs/structured_output.md). Properties
/// come in the order in which the schema lists them.
[[nodiscard]] Result<Grammar> from_json_schema(const nlohmann::ordered_json& schema, const SchemaOptions& options = {});
/// The same as a part of a larger grammar (a tool call's arguments).
[[nodiscard]] Result<NodeIndex> add_json_schema(Grammar& grammar, const nlohmann::ordered_json& schema,
                                                const SchemaOptions& options = {});
/// Any JSON object.
[[nodiscard]] Grammar json_object(const SchemaOptions& options = {});
/// A regular expression that the whole text matches.
[[nodiscard]] Result<Grammar> from_regex(std::string_view pattern, const GrammarLimits& limits = {});
[[nodiscard]] Result<NodeIndex> add_regex(Grammar& grammar, std::string_view pattern, const GrammarLimits& limits = {});
/// One of these texts.
[[nodiscard]] Result<Grammar> from_choices(std::span<const std::string> choices, const GrammarLimits& limits = {});
/// EBNF in the dialect that vLLM's users write (GBNF: `root ::= "a" [0-9]+ (x | y)* {2,3}`); the rule named root is the
/// start. Lark's spelling is recognised and read too, where it means the same.
[[nodiscard]] Result<Grammar> from_ebnf(std::string_view text, const GrammarLimits& limits = {});
/// The grammar as EBNF that from_ebnf reads back to the same language: how a grammar travels to a node.
[[nodiscard]] std::string to_ebnf(const Grammar& grammar);
/// The limits that to_ebnf's text keeps, of a grammar that kept these: parts that are shared come back as references.
[[nodiscard]] GrammarLimits wire_limits(const GrammarLimits& limits = {});

/// Any text in which none of `triggers` occurs (empty ones do not count). Right-linear rules, a state of the search for
/// the triggers each.
[[nodiscard]] NodeIndex text_without(Grammar& grammar, std::span<const std::string> triggers);

}  // namespace sluice::text::grammar
