#pragma once
// Walks a template. Its methods are in four files: statements, expressions, calls, and (renderer.cpp) its beginning.
#include <deque>

#include "text/jinja/arguments.h"
#include "text/jinja/eval.h"
#include "text/jinja/loop.h"
#include "text/jinja/namespace.h"
#include "text/jinja/scope.h"

namespace sluice::text::jinja {

class Renderer {
 public:
  Renderer(const Template& t, const Variables& variables, const FormatNow& format_now, Budget& budget);
  Text run();

 private:
  enum class Flow { next, break_, continue_ };

  // --- statements
  Flow execute(const Body& body, Scope& scope, TextBuilder& out);
  Flow run(const TextStmt& s, Scope& scope, TextBuilder& out);
  Flow run(const OutputStmt& s, Scope& scope, TextBuilder& out);
  Flow run(const IfStmt& s, Scope& scope, TextBuilder& out);
  Flow run(const ForStmt& s, Scope& scope, TextBuilder& out);
  Flow run(const SetStmt& s, Scope& scope, TextBuilder& out);
  Flow run(const SetBlockStmt& s, Scope& scope, TextBuilder& out);
  Flow run(const FilterBlockStmt& s, Scope& scope, TextBuilder& out);
  Flow run(const WithStmt& s, Scope& scope, TextBuilder& out);
  Flow run(const BlockStmt& s, Scope& scope, TextBuilder& out);
  Flow run(const MacroStmt& s, Scope& scope, TextBuilder& out);
  Flow run(const CallStmt& s, Scope& scope, TextBuilder& out);
  Flow run(const BreakStmt&, Scope&, TextBuilder&) { return Flow::break_; }
  Flow run(const ContinueStmt&, Scope&, TextBuilder&) { return Flow::continue_; }

  /// The items of a for statement over `items`, as its condition lets them through.
  LoopState::Pull pull_items(const ForStmt& s, Cursor items, Scope& scope);
  Flow loop_over(const ForStmt& s, const Value& items, Scope& scope, TextBuilder& out, std::uint32_t depth0);
  void write(const Text& t, TextBuilder& out);
  void write_value(const Value& v, TextBuilder& out);
  Value capture(const Body& body, Scope& scope);
  Value filter_chain(const Expr& e, const Value& text, Scope& scope);
  void assign(const Target& t, const Value& v, Scope& scope);
  void assign_attribute(const Target& t, const Value& v, Scope& scope);

  /// A scope inside `outer`, in `here` unless a macro may look into it after its block has ended.
  Scope& open_scope(Scope& here, Scope& outer, bool keep);

  // --- expressions
  Value eval(const Expr& e, Scope& scope);
  Value eval(const LiteralExpr& e, Scope& scope);
  Value eval(const NameExpr& e, Scope& scope);
  Value eval(const ListExpr& e, Scope& scope);
  Value eval(const DictExpr& e, Scope& scope);
  Value eval(const UnaryExpr& e, Scope& scope);
  Value eval(const BinaryExpr& e, Scope& scope);
  Value eval(const ConcatExpr& e, Scope& scope);
  Value eval(const CompareExpr& e, Scope& scope);
  Value eval(const TernaryExpr& e, Scope& scope);
  Value eval(const AttributeExpr& e, Scope& scope);
  Value eval(const SubscriptExpr& e, Scope& scope);
  Value eval(const SliceExpr& e, Scope& scope);
  Value eval(const CallExpr& e, Scope& scope);
  Value eval(const FilterExpr& e, Scope& scope);
  Value eval(const TestExpr& e, Scope& scope);
  Args evaluate(const Arguments& a, Scope& scope);

  // --- calls
  Value call(const Value& callee, const Args& args);
  Value call_bound(const Callable::Bound& bound, const Args& args);
  Value call_loop(LoopState& loop, const Args& args);
  Value call_macro(const Callable::Macro& macro, const Args& args);
  Value call_global(Global g, const Args& args);
  Value make_namespace(const Args& args);
  Value macro_value(const MacroNode& node, Scope& scope);

  const Template& template_;
  const FormatNow& format_now_;
  Budget& budget_;
  std::vector<std::optional<Value>> globals_;  // by symbol
  std::deque<LoopState> loops_;  // these may refer to each other, and to themselves: all die with the rendering
  std::deque<Namespace> namespaces_;
  std::deque<Scope> scopes_;
  Scope top_;
  Depth depth_;
};

}  // namespace sluice::text::jinja
