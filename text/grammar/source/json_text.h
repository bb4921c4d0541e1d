#pragma once
// The parts of JSON text that do not depend on a schema: white space between tokens, and values of any kind.
#include <optional>
#include <utility>
#include <vector>

#include "text/grammar/source/spelling.h"
#include "text/grammar/sources.h"

namespace sluice::text::grammar {

/// Each part is made once per grammar, when it is first used.
class JsonText {
 public:
  JsonText(Grammar& grammar, bool any_whitespace) : g_(grammar), any_whitespace_(any_whitespace), spelling_(grammar) {}

  [[nodiscard]] Grammar& grammar() const { return g_; }
  /// Characters inside the quotes of a string.
  [[nodiscard]] JsonSpelling& spelling() { return spelling_; }

  [[nodiscard]] NodeIndex comma();
  [[nodiscard]] NodeIndex colon();
  /// `inside` between braces or brackets.
  [[nodiscard]] NodeIndex braces(NodeIndex inside) { return enclosed("{", inside, "}"); }
  [[nodiscard]] NodeIndex brackets(NodeIndex inside) { return enclosed("[", inside, "]"); }
  /// `inside` between quotes.
  [[nodiscard]] NodeIndex quoted(NodeIndex inside);
  /// A name, the colon and a value.
  [[nodiscard]] NodeIndex member(NodeIndex name, NodeIndex value);

  [[nodiscard]] NodeIndex any_value();
  [[nodiscard]] NodeIndex any_object();
  [[nodiscard]] NodeIndex any_array();
  [[nodiscard]] NodeIndex any_string();
  [[nodiscard]] NodeIndex any_number();
  [[nodiscard]] NodeIndex boolean();
  /// Exactly this value.
  [[nodiscard]] NodeIndex value(const nlohmann::ordered_json& value);

 private:
  template <class Make>
  NodeIndex once(std::optional<RuleIndex>& rule, const char* name, Make&& make) {
    if (!rule) {
      rule = g_.declare(name);
      const auto body = make();
      g_.define(*rule, body);
    }
    return g_.rule(*rule);
  }
  /// Behind a comma, and inside brackets at both ends: nothing, a space, or a line break and an indentation.
  [[nodiscard]] NodeIndex space();
  [[nodiscard]] NodeIndex enclosed(const char* open, NodeIndex inside, const char* close);
  /// `item` any number of times, with commas.
  [[nodiscard]] NodeIndex list_of(NodeIndex item);

  Grammar& g_;
  bool any_whitespace_;
  JsonSpelling spelling_;
  std::optional<RuleIndex> space_, comma_, colon_, value_, object_, array_, string_, number_, boolean_;
};

}  // namespace sluice::text::grammar
