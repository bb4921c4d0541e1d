#pragma once
// A JSON schema as its reader sees it: which keywords there are, what they must look like, where a $ref leads, and how
// a place is named in an error. Every keyword is checked before anybody relies on it.
#include <fmt/format.h>

#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "common/result.h"
#include "text/grammar/grammar.h"

namespace sluice::text::grammar {

using Json = nlohmann::ordered_json;

class SchemaTree {
 public:
  SchemaTree(const Json& root, const GrammarLimits& limits) : root_(root), limits_(limits) {}

  [[nodiscard]] const Json* root() const { return &root_; }
  [[nodiscard]] const GrammarLimits& limits() const { return limits_; }
  /// Size and depth, before anything walks the schema.
  [[nodiscard]] Result<> check_size() const;
  /// The keywords of one schema, not of those inside it.
  [[nodiscard]] Result<> check(const Json* schema);

  /// A keyword's value, or nothing.
  [[nodiscard]] const Json* get(const Json* schema, std::string_view keyword);
  /// A schema inside a keyword that holds several.
  [[nodiscard]] const Json* item(const Json* container, std::size_t index);
  [[nodiscard]] const Json* named(const Json* container, std::string_view name);
  /// A schema that the document does not hold, as a part of the one at `beside`.
  [[nodiscard]] const Json* made(Json schema, const Json* beside);
  /// What $ref names.
  [[nodiscard]] Result<const Json*> resolve(const Json* schema);

  /// The JSON pointer of a place, "/properties/a"; "the root" for that.
  [[nodiscard]] std::string pointer(const Json* place) const;
  /// Its last part, for names.
  [[nodiscard]] std::string label(const Json* place) const;
  template <class... A>
  [[nodiscard]] std::unexpected<Error> refuse(const Json* place, Errc code, fmt::format_string<A...> f,
                                              A&&... a) const {
    return fail(code, "{}: {}", pointer(place), fmt::format(f, std::forward<A>(a)...));
  }

 private:
  struct Place {
    const Json* parent;
    std::string key;
  };
  const Json* remember(const Json* parent, std::string key, const Json* child);
  using Index = std::unordered_map<std::string_view, const Json*>;
  const Index& index(const Json* object);
  [[nodiscard]] Result<> check_value(const Json* schema, const std::string& keyword, const Json& value);

  const Json& root_;
  const GrammarLimits& limits_;
  std::unordered_map<const Json*, Place> places_;
  std::unordered_map<const Json*, Index> indexes_;
  std::unordered_set<const Json*> checked_;
  std::deque<Json> made_;
};

}  // namespace sluice::text::grammar
