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

  Template run() {
    Template out;
    out.loop = symbols_.of("loop");
    out.body = statements({});
    if (peek().kind != TokenKind::end) fail("unexpected end of a block");
    out.symbols = std::move(symbols_);
    return out;
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
        const std::uint32_t line = next().line;
        refuse_unknown();
        body.push_back({OutputStmt{std::move(value)}, line});
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
    if (name == "call") return {call_statement(), line};
    if (name == "filter") return {filter_statement(), line};
    if (name == "with") return {with_statement(), line};
    if (name == "block") return {block_statement(), line};
    if (name == "print") return print_statement(line);
    if (name == "generation") {
      WithStmt out;
      out.body = block("endgeneration", out.keep_scope);
      return {std::move(out), line};
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) fail(fmt::format("'{}' outside a loop", name));
      expect_block_end();
      if (name == "break") return {BreakStmt{}, line};
      return {ContinueStmt{}, line};
    }
    fail(fmt::format("unsupported block '{}'", name));
  }

  /// The rest of an opening tag, its body, and its closing tag. `keeps`: a macro inside may use the scope later.
  Body block(std::string_view end, bool& keeps, std::string_view name = {}) {
    refuse_unknown();
    expect_block_end();
    const std::uint32_t macros = macros_;
    Body body = statements({end});
    keeps = macros_ != macros;
    next();
    if (!name.empty()) accept_name(name);
    expect_block_end();
    return body;
  }

  IfStmt if_statement() {
    IfStmt out;
    ++lenient_;
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
    refuse_unknown();
    --lenient_;
    expect_block_end();
    return out;
  }

  ForStmt for_statement() {
    ForStmt out;
    out.target = target(/*attributes=*/false);
    expect_name("in");
    out.items = tuple(/*with_condition=*/false);
    if (accept_name("if")) out.condition = expression();
    out.recursive = accept_name("recursive");
    refuse_unknown();
    expect_block_end();
    const std::uint32_t macros = macros_;
    ++loops_;
    out.body = statements({"else", "endfor"});
    --loops_;
    if (accept_name("else")) {
      expect_block_end();
      out.otherwise = statements({"endfor"});
    }
    out.keep_scope = macros_ != macros;
    expect_name("endfor");
    expect_block_end();
    return out;
  }

  Stmt set_statement(std::uint32_t line) {
    Target to = target(/*attributes=*/true);
    if (accept_op("=")) {
      SetStmt out{std::move(to), tuple(true)};
      refuse_unknown();
      expect_block_end();
      return {std::move(out), line};
    }
    SetBlockStmt out{.target = std::move(to)};
    while (accept_op("|")) out.filter = filter_call(std::move(out.filter));
    out.body = block("endset", out.keep_scope);
    return {std::move(out), line};
  }

  MacroStmt macro_statement() {
    MacroStmt out;
    out.macro = std::make_unique<MacroNode>();
    out.macro->name = expect_identifier();
    out.name = symbols_.of(out.macro->name);
    signature(*out.macro);
    macro_body(*out.macro, "endmacro");
    return out;
  }

  CallStmt call_statement() {
    CallStmt out;
    out.caller = std::make_unique<MacroNode>();
    out.caller->name = "caller";
    if (peek().op("(")) signature(*out.caller);
    const std::uint32_t line = peek().line;
    out.call = postfix(primary());
    if (!std::holds_alternative<CallExpr>(out.call->node)) fault("line {}: expected call in the chat template", line);
    macro_body(*out.caller, "endcall");
    return out;
  }

  void signature(MacroNode& macro) {
    expect_op("(");
    while (!accept_op(")")) {
      if (!macro.parameters.empty()) expect_op(",");
      std::string name = expect_identifier();
      ExprPtr fallback = accept_op("=") ? expression() : nullptr;
      if (!fallback && !macro.parameters.empty() && macro.parameters.back().fallback)
        fail("a parameter without default after one with");
      macro.caller_is_parameter = macro.caller_is_parameter || name == "caller";
      macro.parameters.push_back({symbols_.of(name), std::move(fallback)});
    }
  }

  /// A macro takes *args, **kwargs or a caller if its body names them.
  void macro_body(MacroNode& macro, std::string_view end) {
    const std::uint32_t loops = std::exchange(loops_, 0);
    const Asked outer = std::exchange(asked_, Asked{});
    macro.body = block(end, macro.keep_scope);
    macro.varargs = symbols_.of("varargs");
    macro.kwargs = symbols_.of("kwargs");
    macro.caller = symbols_.of("caller");
    macro.takes_varargs = asked_.varargs;
    macro.takes_kwargs = asked_.kwargs;
    macro.takes_caller = asked_.caller;
    asked_ = {outer.varargs || asked_.varargs, outer.kwargs || asked_.kwargs, outer.caller || asked_.caller};
    loops_ = loops;
    ++macros_;
  }

  BlockStmt block_statement() {
    BlockStmt out;
    const std::string name = expect_identifier();
    out.scoped = accept_name("scoped");
    if (accept_name("required")) fail("unsupported block that another template must fill");
    const std::uint32_t loops = std::exchange(loops_, 0);
    out.body = block("endblock", out.keep_scope, name);
    loops_ = loops;
    return out;
  }

  Stmt print_statement(std::uint32_t line) {
    ConcatExpr all;
    while (peek().kind != TokenKind::block_end) {
      if (!all.parts.empty()) expect_op(",");
      all.parts.push_back(expression());
    }
    refuse_unknown();
    expect_block_end();
    std::uint32_t depth = 0;
    for (const auto& p : all.parts) depth = std::max(depth, p->depth);
    return {OutputStmt{std::make_unique<Expr>(Expr{std::move(all), line, depth + 1})}, line};
  }

  FilterBlockStmt filter_statement() {
    ExprPtr filter = filter_call(nullptr);
    while (accept_op("|")) filter = filter_call(std::move(filter));
    FilterBlockStmt out{.filter = std::move(filter)};
    out.body = block("endfilter", out.keep_scope);
    return out;
  }

  WithStmt with_statement() {
    WithStmt out;
    while (peek().kind != TokenKind::block_end) {
      if (!out.values.empty()) expect_op(",");
      Target to = target(false);
      expect_op("=");
      out.values.emplace_back(std::move(to), expression());
    }
    out.body = block("endwith", out.keep_scope);
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
      return inner;
    }
    Target out;
    out.name = symbols_.of(expect_identifier());
    if (attributes && accept_op(".")) out.attribute = expect_identifier();
    return out;
  }

  std::uint32_t loops_ = 0;   // loops around, for break and continue
  std::uint32_t macros_ = 0;  // macros and call blocks read so far
};

}  // namespace

Template parse_template(std::string_view source, const Limits& limits) {
  if (source.size() > limits.max_source) fault("the chat template is longer than {} bytes", limits.max_source);
  return Parser(tokenize(source), limits).run();
}

}  // namespace sluice::text::jinja
