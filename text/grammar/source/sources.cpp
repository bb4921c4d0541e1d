// The doors: a schema as a grammar or a part of one, any JSON object, a list of choices.
#include <utility>

#include "common/utf8.h"
#include "text/grammar/source/ecma_parser.h"
#include "text/grammar/source/expression.h"
#include "text/grammar/source/json_text.h"
#include "text/grammar/source/schema_compiler.h"
#include "text/grammar/sources.h"

namespace sluice::text::grammar {
namespace {

Result<Grammar> finished(Grammar grammar, NodeIndex root, const GrammarLimits& limits) {
  grammar.set_root(root);
  grammar.prune();
  SLUICE_TRY(grammar.check(limits));
  return grammar;
}

}  // namespace

Result<NodeIndex> add_json_schema(Grammar& grammar, const nlohmann::ordered_json& schema,
                                  const SchemaOptions& options) {
  SchemaTree tree(schema, options.limits);
  SLUICE_TRY(tree.check_size());
  SLUICE_TRY(tree.check(tree.root()));
  SchemaValues values(tree);
  SchemaCompiler compiler(grammar, tree, values, options);
  SLUICE_ASSIGN(const auto root, compiler.run({tree.root()}));
  if (!grammar.can_match(root)) {
    const auto& why = compiler.contradiction();
    return fail(Errc::invalid_argument, "no JSON document satisfies the schema ({})",
                why.empty() ? "it needs itself without end" : why);
  }
  grammar.prune();
  return root;
}

Result<Grammar> from_json_schema(const nlohmann::ordered_json& schema, const SchemaOptions& options) {
  Grammar grammar;
  SLUICE_ASSIGN(const auto root, add_json_schema(grammar, schema, options));
  return finished(std::move(grammar), root, options.limits);
}

Grammar json_object(const SchemaOptions& options) {
  Grammar grammar;
  JsonText text(grammar, options.any_whitespace);
  grammar.set_root(text.any_object());
  return grammar;
}

Result<NodeIndex> add_regex(Grammar& grammar, std::string_view pattern, const GrammarLimits& limits) {
  const auto named = [](Error e) {
    e.message = "the regular expression: " + e.message;
    return std::unexpected(std::move(e));
  };
  auto tree = parse_ecma(pattern, limits);
  if (!tree) return named(std::move(tree).error());
  PlainSpelling plain(grammar);
  auto made = add_expression(**tree, false, plain, "regex");
  if (!made) return named(std::move(made).error());
  return *made;
}

Result<Grammar> from_regex(std::string_view pattern, const GrammarLimits& limits) {
  Grammar grammar;
  SLUICE_ASSIGN(const auto root, add_regex(grammar, pattern, limits));
  return finished(std::move(grammar), root, limits);
}

Result<Grammar> from_choices(std::span<const std::string> choices, const GrammarLimits& limits) {
  if (choices.empty()) return fail(Errc::invalid_argument, "the list of choices is empty");
  if (choices.size() > limits.nodes)
    return fail(Errc::invalid_argument, "{} choices, more than the {} allowed", choices.size(), limits.nodes);
  Grammar grammar;
  std::vector<NodeIndex> ways;
  for (const auto& c : choices) {
    if (utf8_valid_prefix(c) != c.size()) return fail(Errc::invalid_argument, "a choice that is not UTF-8");
    ways.push_back(grammar.literal(c));
  }
  const auto root = grammar.choice(std::move(ways));
  return finished(std::move(grammar), root, limits);
}

}  // namespace sluice::text::grammar
