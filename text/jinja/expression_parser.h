#pragma once
// Tokens to expressions, by Jinja's precedence: a recursive descent, a method per level of the grammar. The statement
// parser (parser.cpp) builds on it. Throws Fault with the line at fault, also for what Jinja has and this engine does
// not: a template that cannot be rendered is refused when it is loaded.
#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace sluice::text::jinja {

/// The tokens of one template and how deep the parser is in them.
class TokenCursor {
 public:
  TokenCursor(std::vector<Token> tokens, const Limits& limits)
      : limits_(limits), tokens_(std::move(tokens)), depth_(limits) {}

 protected:
  [[nodiscard]] const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& next() {
    const Token& t = peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return t;
  }
  bool accept_op(std::string_view op) {
    if (!peek().op(op)) return false;
    next();
    return true;
  }
  bool accept_name(std::string_view name) {
    if (!peek().name(name)) return false;
    next();
    return true;
  }
  void expect_op(std::string_view op) {
    if (!accept_op(op)) fail(fmt::format("expected '{}'", op));
  }
  void expect_name(std::string_view name) {
    if (!accept_name(name)) fail(fmt::format("expected '{}'", name));
  }
  std::string expect_identifier() {
    if (peek().kind != TokenKind::name) fail("expected a name");
    return next().text;
  }
  void expect_block_end() {
    if (peek().kind != TokenKind::block_end) fail(fmt::format("unexpected '{}' in a block", peek().text));
    next();
  }
  [[noreturn]] void fail(std::string_view what) const { fault("line {}: {} in the chat template", peek().line, what); }
  void step_back() { at_ -= at_ > 0 ? 1 : 0; }
  [[nodiscard]] Level descend() { return Level(depth_); }

  const Limits& limits_;

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  Depth depth_;
};

/// How deep what a node holds reaches; 0 of nothing.
[[nodiscard]] inline std::uint32_t depth_of(const ExprPtr& e) { return e ? e->depth : 0; }
[[nodiscard]] inline std::uint32_t depth_of(const std::vector<ExprPtr>& list) {
  std::uint32_t d = 0;
  for (const auto& e : list) d = std::max(d, depth_of(e));
  return d;
}
[[nodiscard]] inline std::uint32_t depth_of(const Arguments& a) {
  std::uint32_t d = std::max({depth_of(a.positional), depth_of(a.more_positional), depth_of(a.more_keyword)});
  for (const auto& [k, e] : a.keyword) d = std::max(d, depth_of(e));
  return d;
}

class ExpressionParser : public TokenCursor {
 public:
  using TokenCursor::TokenCursor;

 protected:
  /// One expression, or several with commas as a tuple.
  ExprPtr tuple(bool with_condition);
  ExprPtr expression();
  /// A filter's name and arguments, after its '|'; `input` null: the text of the block it heads.
  ExprPtr filter_call(ExprPtr input);
  ExprPtr postfix(ExprPtr value);
  ExprPtr primary();
  /// Jinja lets a filter or test that nobody knows pass inside an if or a condition, and faults when it gets there.
  /// Called where a statement's expressions end.
  void refuse_unknown();

  /// Names with a meaning of their own in a macro that were read since this was last cleared.
  struct Asked {
    bool varargs = false, kwargs = false, caller = false;
  };
  Symbols symbols_;
  Asked asked_;
  std::uint32_t lenient_ = 0;  // {% if %}s around

 private:
  template <class Node>
  ExprPtr make(Node node, std::uint32_t line, std::initializer_list<std::uint32_t> children = {});
  [[nodiscard]] bool ends_tuple() const;
  ExprPtr binary(BinaryOp op, ExprPtr left, ExprPtr right, std::uint32_t line);
  ExprPtr or_expression();
  ExprPtr and_expression();
  ExprPtr not_expression();
  bool compare_op(CompareOp& op);
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concat();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool with_filter);
  ExprPtr literal(Value v, std::uint32_t line);
  ExprPtr name_or_constant(const Token& t);
  ExprPtr parenthesis(std::uint32_t line);
  ExprPtr list(std::uint32_t line);
  ExprPtr dict(std::uint32_t line);
  ExprPtr attribute(ExprPtr object, std::uint32_t line);
  ExprPtr subscript(ExprPtr object, std::uint32_t line);
  Arguments arguments();
  void argument(Arguments& out);
  ExprPtr call(ExprPtr callee, std::uint32_t line);
  ExprPtr filters(ExprPtr value);
  std::string dotted_name();
  ExprPtr test(ExprPtr input, std::uint32_t line);

  Budget budget_{limits_};
  std::vector<std::string> unknown_;  // filters and tests that do not exist, as errors
};

template <class Node>
ExprPtr ExpressionParser::make(Node node, std::uint32_t line, std::initializer_list<std::uint32_t> children) {
  std::uint32_t depth = 1;
  for (const std::uint32_t d : children) depth = std::max(depth, d + 1);
  if (depth > limits_.max_depth) fail(fmt::format("an expression nested deeper than {} levels", limits_.max_depth));
  return std::make_unique<Expr>(Expr{std::move(node), line, depth});
}

}  // namespace sluice::text::jinja
