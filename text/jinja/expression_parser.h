#pragma once
// Tokens to expressions, by Jinja's precedence: a recursive descent, a method per level of the grammar. The statement
// parser (jinja_parser.cpp) builds on it. Throws Fault with the line at fault.
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
  TokenCursor(std::vector<Token> tokens, const Limits& limits) : limits_(limits), tokens_(std::move(tokens)) {}

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
  [[nodiscard]] Level descend() { return {depth_, limits_.max_depth}; }

  const Limits& limits_;

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::uint32_t depth_ = 0;
};

class ExpressionParser : public TokenCursor {
 public:
  using TokenCursor::TokenCursor;

 protected:
  /// One expression, or several with commas as a tuple.
  ExprPtr tuple(bool with_condition);
  ExprPtr expression();
  /// A filter's name and arguments, after its '|'; `input` null: the text of the block it heads.
  ExprPtr filter_call(ExprPtr input);

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
  ExprPtr primary();
  ExprPtr name_or_constant(const Token& t);
  ExprPtr parenthesis(std::uint32_t line);
  ExprPtr list(std::uint32_t line);
  ExprPtr dict(std::uint32_t line);
  ExprPtr postfix(ExprPtr value);
  ExprPtr attribute(ExprPtr object, std::uint32_t line);
  ExprPtr subscript(ExprPtr object, std::uint32_t line);
  Arguments arguments();
  ExprPtr call(ExprPtr callee, std::uint32_t line);
  ExprPtr filters(ExprPtr value);
  std::string dotted_name();
  ExprPtr test(ExprPtr input, std::uint32_t line);

  Budget budget_{limits_};
};

}  // namespace sluice::text::jinja
