#include "text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "text/jinja/expression_parser.h"

namespace sluice::text::jinja {

namespace {

/// Statements and their targets, over the expression parser.
class Parser : ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Body run() {
    Body body = statements({});
    if (peek().kind != TokenKind::end) fail("unexpected end of a block");
    return body;
  }

 private:
  /// Up to a block that begins with one of `ends`, which is left at its name.
  Body statements(std::initializer_list<std::string_view> ends) {
    const Level level = descend();
    Body body;
    for (;;) {
      const Token& t = peek();
      if (t.kind == TokenKind::end) {
        if (ends.size() != 0) fail(fmt::format("missing {{% {} %}}", *(ends.end() - 1)));
        return body;
      }
      if (t.kind == TokenKind::data) {
        body.push_back({TextStmt{next().text}, t.line});
      } else if (t.kind == TokenKind::variable_begin) {
        next();
        ExprPtr value = tuple(/*with_condition=*/true);
        if (peek().kind != TokenKind::variable_end) fail(fmt::format("unexpected '{}' in an expression", peek().text));
        next();
        body.push_back({OutputStmt{std::move(value)}, t.line});
      } else {
        next();  // block_begin
        if (peek().kind != TokenKind::name) fail("a block without a name");
        if (std::ranges::find(ends, peek().text) != ends.end()) return body;
        body.push_back(statement());
      }
    }
  }

  Stmt statement() {
    const std::uint32_t line = peek().line;
    const std::string name = next().text;
    if (name == "if") return {if_statement(), line};
    if (name == "for") return {for_statement(), line};
    if (name == "set") return set_statement(line);
    if (name == "macro") return {macro_statement(), line};
    if (name == "filter") return {filter_statement(), line};
    if (name == "with") return {with_statement(), line};
    if (name == "generation") return {WithStmt{{}, block("endgeneration")}, line};
    if (name == "break" || name == "continue") {
      if (loops_ == 0) fail(fmt::format("'{}' outside a loop", name));
      expect_block_end();
      if (name == "break") return {BreakStmt{}, line};
      return {ContinueStmt{}, line};
    }
    fail(fmt::format("unsupported block '{}'", name));
  }

  /// The rest of an opening tag, its body, and its closing tag.
  Body block(std::string_view end) {
    expect_block_end();
    ++nested_;
    Body body = statements({end});
    --nested_;
    next();
    expect_block_end();
    return body;
  }

  IfStmt if_statement() {
    IfStmt out;
    for (;;) {
      ExprPtr condition = tuple(false);
      expect_block_end();
      out.branches.emplace_back(std::move(condition), statements({"elif", "else", "endif"}));
      if (!accept_name("elif")) break;
    }
    if (accept_name("else")) {
      expect_block_end();
      out.otherwise = statements({"endif"});
    }
    expect_name("endif");
    expect_block_end();
    return out;
  }

  ForStmt for_statement() {
    ForStmt out;
    out.target = target(/*attributes=*/false);
    expect_name("in");
    out.items = tuple(/*with_condition=*/false);
    if (accept_name("if")) out.condition = expression();
    if (peek().name("recursive")) fail("unsupported recursive loop");
    expect_block_end();
    ++nested_;
    ++loops_;
    out.body = statements({"else", "endfor"});
    --loops_;
    if (accept_name("else")) {
      expect_block_end();
      out.otherwise = statements({"endfor"});
    }
    --nested_;
    expect_name("endfor");
    expect_block_end();
    return out;
  }

  Stmt set_statement(std::uint32_t line) {
    Target to = target(/*attributes=*/true);
    if (accept_op("=")) {
      SetStmt out{std::move(to), tuple(true)};
      expect_block_end();
      return {std::move(out), line};
    }
    ExprPtr filter;
    while (accept_op("|")) filter = filter_call(std::move(filter));
    return {SetBlockStmt{std::move(to), std::move(filter), block("endset")}, line};
  }

  MacroStmt macro_statement() {
    if (nested_ > 0) fail("unsupported macro inside another block");
    auto macro = std::make_unique<MacroNode>();
    macro->name = expect_identifier();
    expect_op("(");
    while (!accept_op(")")) {
      if (!macro->parameters.empty()) expect_op(",");
      std::string parameter = expect_identifier();
      ExprPtr fallback = accept_op("=") ? expression() : nullptr;
      if (!fallback && !macro->parameters.empty() && macro->parameters.back().second)
        fail("a parameter without default after one with");
      macro->parameters.emplace_back(std::move(parameter), std::move(fallback));
    }
    const std::uint32_t loops = std::exchange(loops_, 0);
    macro->body = block("endmacro");
    loops_ = loops;
    return {std::move(macro)};
  }

  FilterBlockStmt filter_statement() {
    ExprPtr filter = filter_call(nullptr);
    while (accept_op("|")) filter = filter_call(std::move(filter));
    return {std::move(filter), block("endfilter")};
  }

  WithStmt with_statement() {
    WithStmt out;
    while (peek().kind != TokenKind::block_end) {
      if (!out.values.empty()) expect_op(",");
      Target to = target(false);
      expect_op("=");
      out.values.emplace_back(std::move(to), expression());
    }
    out.body = block("endwith");
    return out;
  }

  Target target(bool attributes) {
    Target first = one_target(attributes);
    if (!peek().op(",")) return first;
    Target all;
    all.elements.push_back(std::move(first));
    while (accept_op(",")) {
      if (peek().kind != TokenKind::name && !peek().op("(")) break;
      if (peek().name("in")) break;
      all.elements.push_back(one_target(attributes));
    }
    return all;
  }

  Target one_target(bool attributes) {
    const Level level = descend();
    if (accept_op("(")) {
      Target inner = target(attributes);
      expect_op(")");
      if (inner.elements.empty()) return inner;
      return inner;
    }
    Target out;
    out.name = expect_identifier();
    if (attributes && accept_op(".")) out.attribute = expect_identifier();
    return out;
  }

  std::uint32_t nested_ = 0;  // blocks around that have a scope of their own
  std::uint32_t loops_ = 0;   // loops around, for break and continue
};

}  // namespace

Body parse_template(std::string_view source, const Limits& limits) {
  if (source.size() > limits.max_source) fault("the chat template is longer than {} bytes", limits.max_source);
  return Parser(tokenize(source), limits).run();
}

}  // namespace sluice::text::jinja
