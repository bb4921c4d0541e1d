#include "text/jinja/expression_parser.h"

#include <algorithm>
#include <cstdlib>

#include "text/jinja/number.h"

namespace sluice::text::jinja {

ExprPtr ExpressionParser::tuple(bool with_condition) {
  const std::uint32_t line = peek().line;
  const auto one = [&] { return with_condition ? expression() : or_expression(); };
  ExprPtr first = one();
  if (!peek().op(",")) return first;
  ListExpr list{.items = {}, .tuple = true};
  list.items.push_back(std::move(first));
  while (accept_op(",")) {
    if (ends_tuple()) break;
    list.items.push_back(one());
  }
  const std::uint32_t depth = depth_of(list.items);
  return make(std::move(list), line, {depth});
}

bool ExpressionParser::ends_tuple() const {
  const Token& t = peek();
  return t.kind == TokenKind::variable_end || t.kind == TokenKind::block_end || t.op(")") || t.op("]");
}

ExprPtr ExpressionParser::expression() {
  const Level level = descend();
  const std::uint32_t line = peek().line;
  const std::size_t unknown = unknown_.size();
  ExprPtr value = or_expression();
  while (accept_name("if")) {
    ExprPtr condition = or_expression();
    ExprPtr otherwise = accept_name("else") ? expression() : nullptr;
    const std::initializer_list<std::uint32_t> d = {depth_of(value), depth_of(condition), depth_of(otherwise)};
    value = make(TernaryExpr{std::move(condition), std::move(value), std::move(otherwise)}, line, d);
    unknown_.resize(unknown);
  }
  return value;
}

ExprPtr ExpressionParser::binary(BinaryOp op, ExprPtr left, ExprPtr right, std::uint32_t line) {
  const std::initializer_list<std::uint32_t> d = {depth_of(left), depth_of(right)};
  return make(BinaryExpr{op, std::move(left), std::move(right)}, line, d);
}

ExprPtr ExpressionParser::or_expression() {
  const std::uint32_t line = peek().line;
  ExprPtr left = and_expression();
  while (accept_name("or")) left = binary(BinaryOp::or_, std::move(left), and_expression(), line);
  return left;
}

ExprPtr ExpressionParser::and_expression() {
  const std::uint32_t line = peek().line;
  ExprPtr left = not_expression();
  while (accept_name("and")) left = binary(BinaryOp::and_, std::move(left), not_expression(), line);
  return left;
}

ExprPtr ExpressionParser::not_expression() {
  const Level level = descend();
  const std::uint32_t line = peek().line;
  if (!accept_name("not")) return comparison();
  ExprPtr operand = not_expression();
  const std::uint32_t d = depth_of(operand);
  return make(UnaryExpr{UnaryOp::not_, std::move(operand)}, line, {d});
}

bool ExpressionParser::compare_op(CompareOp& op) {
  static constexpr std::pair<std::string_view, CompareOp> kOps[] = {{"==", CompareOp::eq}, {"!=", CompareOp::ne},
                                                                    {"<", CompareOp::lt},  {"<=", CompareOp::le},
                                                                    {">", CompareOp::gt},  {">=", CompareOp::ge}};
  for (const auto& [text, kind] : kOps)
    if (accept_op(text)) {
      op = kind;
      return true;
    }
  op = CompareOp::in;
  if (accept_name("in")) return true;
  if (!peek().name("not") || !peek(1).name("in")) return false;
  next();
  next();
  op = CompareOp::not_in;
  return true;
}

ExprPtr ExpressionParser::comparison() {
  const std::uint32_t line = peek().line;
  ExprPtr first = sum();
  CompareOp op{};
  if (!compare_op(op)) return first;
  CompareExpr out;
  std::uint32_t depth = depth_of(first);
  out.first = std::move(first);
  do {
    out.rest.emplace_back(op, sum());
    depth = std::max(depth, depth_of(out.rest.back().second));
  } while (compare_op(op));
  return make(std::move(out), line, {depth});
}

ExprPtr ExpressionParser::sum() {
  const std::uint32_t line = peek().line;
  ExprPtr left = concat();
  for (;;) {
    if (accept_op("+"))
      left = binary(BinaryOp::add, std::move(left), concat(), line);
    else if (accept_op("-"))
      left = binary(BinaryOp::subtract, std::move(left), concat(), line);
    else
      return left;
  }
}

ExprPtr ExpressionParser::concat() {
  const std::uint32_t line = peek().line;
  ExprPtr first = product();
  if (!peek().op("~")) return first;
  ConcatExpr out;
  out.parts.push_back(std::move(first));
  while (accept_op("~")) out.parts.push_back(product());
  const std::uint32_t depth = depth_of(out.parts);
  return make(std::move(out), line, {depth});
}

ExprPtr ExpressionParser::product() {
  const std::uint32_t line = peek().line;
  ExprPtr left = power();
  for (;;) {
    if (accept_op("*"))
      left = binary(BinaryOp::multiply, std::move(left), power(), line);
    else if (accept_op("//"))
      left = binary(BinaryOp::floor_divide, std::move(left), power(), line);
    else if (accept_op("/"))
      left = binary(BinaryOp::divide, std::move(left), power(), line);
    else if (accept_op("%"))
      left = binary(BinaryOp::modulo, std::move(left), power(), line);
    else
      return left;
  }
}

ExprPtr ExpressionParser::power() {
  const std::uint32_t line = peek().line;
  ExprPtr left = unary(true);
  while (accept_op("**")) left = binary(BinaryOp::power, std::move(left), unary(true), line);
  return left;
}

ExprPtr ExpressionParser::unary(bool with_filter) {
  const Level level = descend();
  const std::uint32_t line = peek().line;
  ExprPtr value;
  if (peek().op("-") || peek().op("+")) {
    const UnaryOp op = next().text == "-" ? UnaryOp::negate : UnaryOp::plus;
    ExprPtr operand = unary(false);
    const std::uint32_t d = depth_of(operand);
    value = make(UnaryExpr{op, std::move(operand)}, line, {d});
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filter ? filters(std::move(value)) : std::move(value);
}

ExprPtr ExpressionParser::literal(Value v, std::uint32_t line) { return make(LiteralExpr{std::move(v)}, line); }

ExprPtr ExpressionParser::primary() {
  const Token t = next();
  switch (t.kind) {
    case TokenKind::name:
      return name_or_constant(t);
    case TokenKind::string: {
      std::string text = t.text;
      while (peek().kind == TokenKind::string) text += next().text;
      return literal(Value::string(std::move(text), budget_), t.line);
    }
    case TokenKind::integer: {
      const bool prefixed =
          t.text.size() > 1 && t.text[0] == '0' && std::isalpha(static_cast<unsigned char>(t.text[1]));
      const auto i = parse_integer(t.text, prefixed ? 0 : 10, budget_);
      if (!i) fail(fmt::format("'{}' is no integer", t.text));
      return literal(*i, t.line);
    }
    case TokenKind::real: {
      return literal(Value::real(std::strtod(t.text.c_str(), nullptr)), t.line);
    }
    default:
      break;
  }
  if (t.op("(")) return parenthesis(t.line);
  if (t.op("[")) return list(t.line);
  if (t.op("{")) return dict(t.line);
  step_back();
  fail(t.text.empty() ? "an expression is missing" : fmt::format("unexpected '{}'", t.text));
}

ExprPtr ExpressionParser::name_or_constant(const Token& t) {
  if (t.text == "true" || t.text == "True") return literal(Value::boolean(true), t.line);
  if (t.text == "false" || t.text == "False") return literal(Value::boolean(false), t.line);
  if (t.text == "none" || t.text == "None") return literal(Value::none(), t.line);
  asked_.varargs = asked_.varargs || t.text == "varargs";
  asked_.kwargs = asked_.kwargs || t.text == "kwargs";
  asked_.caller = asked_.caller || t.text == "caller";
  return make(NameExpr{symbols_.of(t.text)}, t.line);
}

ExprPtr ExpressionParser::parenthesis(std::uint32_t line) {
  if (accept_op(")")) return make(ListExpr{.items = {}, .tuple = true}, line);
  ExprPtr inner = tuple(true);
  expect_op(")");
  return inner;
}

ExprPtr ExpressionParser::list(std::uint32_t line) {
  ListExpr out;
  while (!accept_op("]")) {
    if (!out.items.empty()) expect_op(",");
    if (accept_op("]")) break;
    out.items.push_back(expression());
  }
  const std::uint32_t depth = depth_of(out.items);
  return make(std::move(out), line, {depth});
}

ExprPtr ExpressionParser::dict(std::uint32_t line) {
  DictExpr out;
  std::uint32_t depth = 0;
  while (!accept_op("}")) {
    if (!out.items.empty()) expect_op(",");
    if (accept_op("}")) break;
    ExprPtr key = expression();
    expect_op(":");
    ExprPtr value = expression();
    depth = std::max({depth, depth_of(key), depth_of(value)});
    out.items.emplace_back(std::move(key), std::move(value));
  }
  return make(std::move(out), line, {depth});
}

}  // namespace sluice::text::jinja
