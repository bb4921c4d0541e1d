// What stands behind an expression's beginning: attributes, items, calls, filters and tests.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/expression_parser.h"
#include "text/jinja/methods.h"

namespace sluice::text::jinja {

ExprPtr ExpressionParser::postfix(ExprPtr value) {
  for (;;) {
    const std::uint32_t line = peek().line;
    if (accept_op("."))
      value = attribute(std::move(value), line);
    else if (accept_op("["))
      value = subscript(std::move(value), line);
    else if (peek().op("("))
      value = call(std::move(value), line);
    else
      return value;
  }
}

ExprPtr ExpressionParser::attribute(ExprPtr object, std::uint32_t line) {
  const std::uint32_t d = depth_of(object);
  if (peek().kind == TokenKind::name) return make(AttributeExpr{std::move(object), next().text}, line, {d});
  if (peek().kind != TokenKind::integer) fail("expected a name or a number after '.'");
  return make(SubscriptExpr{std::move(object), primary()}, line, {d});
}

ExprPtr ExpressionParser::subscript(ExprPtr object, std::uint32_t line) {
  ExprPtr part[3];
  int n = 0;
  if (!peek().op(":")) part[0] = expression();
  while (n < 2 && accept_op(":")) {
    ++n;
    if (!peek().op(":") && !peek().op("]")) part[n] = expression();
  }
  expect_op("]");
  const std::initializer_list<std::uint32_t> d = {depth_of(object), depth_of(part[0]), depth_of(part[1]),
                                                  depth_of(part[2])};
  if (n == 0) return make(SubscriptExpr{std::move(object), std::move(part[0])}, line, d);
  return make(SliceExpr{std::move(object), std::move(part[0]), std::move(part[1]), std::move(part[2])}, line, d);
}

Arguments ExpressionParser::arguments() {
  Arguments out;
  expect_op("(");
  bool first = true;
  while (!accept_op(")")) {
    if (!first) expect_op(",");
    if (accept_op(")")) break;
    first = false;
    argument(out);
  }
  return out;
}

void ExpressionParser::argument(Arguments& out) {
  const bool named = peek().kind == TokenKind::name && peek(1).op("=");
  if (out.more_keyword || (!named && !peek().op("**") && out.more_positional))
    fail("an argument in an invalid place of a call");
  if (accept_op("*")) {
    out.more_positional = expression();
  } else if (accept_op("**")) {
    out.more_keyword = expression();
  } else if (named) {
    std::string name = next().text;
    next();
    out.keyword.emplace_back(std::move(name), expression());
  } else {
    if (!out.keyword.empty()) fail("a positional argument after a named one");
    out.positional.push_back(expression());
  }
}

ExprPtr ExpressionParser::call(ExprPtr callee, std::uint32_t line) {
  if (const auto* method = std::get_if<AttributeExpr>(&callee->node);
      method != nullptr && unsupported_method(method->name))
    fail(fmt::format("str.{}(), which this engine does not have,", method->name));
  if (const auto* name = std::get_if<NameExpr>(&callee->node); name != nullptr && unsupported_global(name->name.text))
    fail(fmt::format("{}(), which this engine does not have,", name->name.text));
  Arguments args = arguments();
  const std::initializer_list<std::uint32_t> d = {depth_of(callee), depth_of(args)};
  return make(CallExpr{std::move(callee), std::move(args)}, line, d);
}

void ExpressionParser::refuse_unknown() {
  if (!unknown_.empty() && lenient_ == 0) fail(unknown_.front());
  unknown_.clear();
}

ExprPtr ExpressionParser::filters(ExprPtr value) {
  for (;;) {
    const std::uint32_t line = peek().line;
    if (accept_op("|"))
      value = filter_call(std::move(value));
    else if (accept_name("is"))
      value = test(std::move(value), line);
    else if (peek().op("("))
      value = call(std::move(value), line);
    else
      return value;
  }
}

std::string ExpressionParser::dotted_name() {
  std::string name = expect_identifier();
  while (accept_op(".")) name += "." + expect_identifier();
  return name;
}

ExprPtr ExpressionParser::filter_call(ExprPtr input) {
  const std::uint32_t line = peek().line;
  std::string name = dotted_name();
  if (unsupported_filter(name)) fail(fmt::format("the filter '{}', which this engine does not have,", name));
  if (find_filter(name) == nullptr) unknown_.push_back(fmt::format("No filter named '{}'", name));
  Arguments args = peek().op("(") ? arguments() : Arguments{};
  const std::initializer_list<std::uint32_t> d = {depth_of(input), depth_of(args)};
  return make(FilterExpr{std::move(input), std::move(name), std::move(args)}, line, d);
}

ExprPtr ExpressionParser::test(ExprPtr input, std::uint32_t line) {
  const bool negated = accept_name("not");
  std::string name = dotted_name();
  if (find_test(name) == nullptr) unknown_.push_back(fmt::format("No test named '{}'", name));
  Arguments args;
  const Token& t = peek();
  if (t.op("(")) {
    args = arguments();
  } else if (t.name("is")) {
    fail("tests cannot be chained with 'is'");
  } else if ((t.kind == TokenKind::name && !t.name("else") && !t.name("or") && !t.name("and")) ||
             t.kind == TokenKind::string || t.kind == TokenKind::integer || t.kind == TokenKind::real || t.op("[") ||
             t.op("{")) {
    args.positional.push_back(postfix(primary()));
  }
  const std::initializer_list<std::uint32_t> d = {depth_of(input), depth_of(args)};
  ExprPtr out = make(TestExpr{std::move(input), std::move(name), std::move(args)}, line, d);
  if (!negated) return out;
  const std::uint32_t depth = depth_of(out);
  return make(UnaryExpr{UnaryOp::not_, std::move(out)}, line, {depth});
}

}  // namespace sluice::text::jinja
