#pragma once
// A context-free grammar over Unicode text: what an answer may look like. Its sources (a JSON schema, a regular
// expression, EBNF, a list of choices, a tool call format) are turned into this, and the automaton is made from it.
//
// Nodes are made bottom up and never change; a rule gives a node a name, so that grammars may be recursive. Sizes are
// bounded by whoever builds (GrammarLimits), since the input is a stranger's. A value; not thread-safe while it grows.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "text/unicode/code_point_set.h"

namespace sluice::text::grammar {

using NodeIndex = std::uint32_t;
using RuleIndex = std::uint32_t;

struct GrammarLimits {
  std::size_t nodes = 100'000;
  std::size_t bytes = 1U << 20U;      // of literals, together
  std::uint32_t repeats = 1'000'000;  // of one repetition's bounds
  std::size_t depth = 256;            // of nesting in a source
};

enum class Op : std::uint8_t {
  literal,   // exactly these bytes (well-formed UTF-8); "" matches the empty text
  chars,     // one code point of a set
  sequence,  // all children, one after another
  choice,    // one of the children; none of none
  repeat,    // the one child, least to most times
  rule,      // what the rule says
};

struct Node {
  static constexpr std::uint32_t kUnbounded = 0xFFFFFFFF;
  Op op = Op::literal;
  std::string bytes{};                // literal
  CodePointSet set{};                 // chars
  std::vector<NodeIndex> children{};  // sequence, choice; repeat: one
  std::uint32_t least = 0, most = 0;  // repeat; most may be kUnbounded
  RuleIndex rule = 0;                 // rule
};

class Grammar {
 public:
  [[nodiscard]] NodeIndex literal(std::string_view bytes);
  [[nodiscard]] NodeIndex chars(CodePointSet set);
  [[nodiscard]] NodeIndex sequence(std::vector<NodeIndex> children);
  [[nodiscard]] NodeIndex choice(std::vector<NodeIndex> children);
  [[nodiscard]] NodeIndex repeat(NodeIndex child, std::uint32_t least, std::uint32_t most = Node::kUnbounded);
  [[nodiscard]] NodeIndex optional(NodeIndex child) { return repeat(child, 0, 1); }
  [[nodiscard]] NodeIndex rule(RuleIndex rule);

  /// A rule without a body yet; the name is for people (to_text makes names unique).
  [[nodiscard]] RuleIndex declare(std::string name);
  void define(RuleIndex rule, NodeIndex body);
  void set_root(NodeIndex root) { root_ = root; }

  [[nodiscard]] const Node& node(NodeIndex i) const { return nodes_[i]; }
  [[nodiscard]] std::span<const Node> nodes() const noexcept { return nodes_; }
  [[nodiscard]] std::size_t rules() const noexcept { return rules_.size(); }
  [[nodiscard]] const std::string& rule_name(RuleIndex r) const { return rules_[r].name; }
  [[nodiscard]] std::optional<NodeIndex> rule_body(RuleIndex r) const { return rules_[r].body; }
  [[nodiscard]] NodeIndex root() const noexcept { return root_; }
  [[nodiscard]] std::size_t literal_bytes() const noexcept { return literal_bytes_; }

  /// Takes what no finite text can match out of choices and repetitions (a rule that needs itself to end, an empty set
  /// or choice), so that nobody who follows the grammar ends where nothing goes on. Indices stay; a rule without a body
  /// counts as one that can match.
  void prune();

  /// Some text of finite length matches the node (as far as rules have bodies).
  [[nodiscard]] bool can_match(NodeIndex node) const;

  /// Every rule has a body, some text matches the root, no rule comes back to itself before a character is read (left
  /// recursion), literals are UTF-8, sizes within limits.
  [[nodiscard]] Result<> check(const GrammarLimits& limits = {}) const;

 private:
  struct Rule {
    std::string name;
    std::optional<NodeIndex> body;
  };
  NodeIndex add(Node n);
  [[nodiscard]] Result<> check_sizes(const GrammarLimits& limits) const;
  [[nodiscard]] Result<> check_left_recursion() const;
  std::vector<Node> nodes_;
  std::vector<Rule> rules_;
  NodeIndex root_ = 0;
  std::size_t literal_bytes_ = 0;
};

}  // namespace sluice::text::grammar
