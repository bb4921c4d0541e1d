#pragma once
// A JSON schema made a grammar. What must hold of one value is a list of schemas, all at once: so $ref beside other
// keywords, allOf, and a property that two schemas speak of are the same thing. A list becomes alternatives (anyOf and
// oneOf picked from), an alternative becomes a choice of types, a type its text. Each list is compiled once, as a rule.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "text/grammar/source/json_text.h"
#include "text/grammar/source/schema_tree.h"
#include "text/grammar/source/schema_values.h"

namespace sluice::text::grammar {

/// Schemas that must all hold of the same value.
using Schemas = std::vector<const Json*>;
/// Of items or properties: as many as one likes.
inline constexpr std::size_t kUnlimited = Node::kUnbounded;

class SchemaCompiler {
 public:
  /// `exact_one` false: oneOf is read as anyOf, as where it is enough that nothing valid is missing.
  SchemaCompiler(Grammar& grammar, SchemaTree& tree, SchemaValues& values, const SchemaOptions& options,
                 bool exact_one = true);

  [[nodiscard]] Result<NodeIndex> run(const Schemas& all);
  /// The same where `own` count with their own keywords only, since what they combine is in `all`.
  [[nodiscard]] Result<NodeIndex> run(Schemas own, const Schemas& all);
  /// Why something cannot be, the first that was found; empty: nothing was.
  [[nodiscard]] const std::string& contradiction() const { return contradiction_; }

 private:
  struct Todo {
    const Json* schema;
    std::uint32_t from;  // whence it came, an index into trail_
  };
  struct Trail {
    const Json* schema;
    std::uint32_t from;
  };
  struct Property;
  struct Members;
  struct TextConditions;

  [[nodiscard]] Result<> finish();
  [[nodiscard]] Result<> room() const;
  [[nodiscard]] NodeIndex never(std::string why);
  template <class... A>
  [[nodiscard]] NodeIndex never_at(const Json* place, fmt::format_string<A...> f, A&&... a) {
    return never(tree_.pointer(place) + ": " + fmt::format(f, std::forward<A>(a)...));
  }

  /// A value of which all hold: a rule.
  [[nodiscard]] NodeIndex value(Schemas all);
  [[nodiscard]] Result<NodeIndex> body(const Schemas& own, const Schemas& all);

  // Alternatives: lists of schemas of which only their own keywords are left.
  [[nodiscard]] Result<std::vector<Schemas>> alternatives(const Schemas& own, const Schemas& all);
  [[nodiscard]] Result<> expand(std::vector<Todo> todo, Schemas own, std::vector<Schemas>& out);
  [[nodiscard]] bool came_from(const Todo& t) const;
  [[nodiscard]] Result<std::vector<Schemas>> branches_of_one(const Json* schema, const Schemas& own);
  [[nodiscard]] Result<bool> exclusive(const Schemas& own, const Json* a, const Json* b, const Json* beside);
  [[nodiscard]] Result<bool> all_exclusive(const Schemas& own, const Json* branches, const Json* beside);
  /// Both are objects that require a property for which they list different values.
  [[nodiscard]] bool told_by_a_property(const Json* a, const Json* b, const Json* beside);
  [[nodiscard]] std::vector<std::string> telling_names(const Json* schema);

  [[nodiscard]] Result<NodeIndex> alternative(const Schemas& own);
  [[nodiscard]] Result<NodeIndex> listed_values(const Schemas& own, const Json* listing);
  [[nodiscard]] std::uint8_t implied_kinds(const Schemas& own);

  [[nodiscard]] Result<NodeIndex> number(const Schemas& own, bool integer);

  [[nodiscard]] Result<NodeIndex> string(const Schemas& own);
  [[nodiscard]] Result<TextConditions> conditions(const Schemas& own);
  /// The texts themselves, not their spelling; nothing where any text will do.
  [[nodiscard]] Result<std::optional<Dfa>> texts(const Schemas& all);
  [[nodiscard]] Result<std::optional<Dfa>> texts_of(const TextConditions& c);

  [[nodiscard]] Result<NodeIndex> array(const Schemas& own);
  [[nodiscard]] Result<NodeIndex> distinct_items(const Json* place, const Schemas& items, std::size_t least,
                                                 std::size_t most);

  [[nodiscard]] Result<NodeIndex> object(const Schemas& own);
  [[nodiscard]] Result<std::vector<Property>> properties(const Schemas& own);
  [[nodiscard]] Result<std::optional<NodeIndex>> other_members(const Schemas& own, const std::vector<Property>& listed);
  [[nodiscard]] Result<NodeIndex> members(const Json* place, Members m);
  [[nodiscard]] NodeIndex as_rule(NodeIndex node);

  Grammar& g_;
  SchemaTree& tree_;
  SchemaValues& values_;
  const SchemaOptions options_;
  bool exact_one_;
  JsonText text_;
  std::map<Schemas, RuleIndex> rules_;
  std::vector<std::pair<Schemas, RuleIndex>> open_;
  std::vector<Trail> trail_;
  std::string contradiction_;
  std::size_t steps_ = 0;
  std::map<std::string, const Json*> made_required_;
  const Json never_ = false;
};

}  // namespace sluice::text::grammar
