// Statements of a template.
#include "text/jinja/builtins.h"
#include "text/jinja/renderer.h"

namespace sluice::text::jinja {

Renderer::Flow Renderer::execute(const Body& body, Scope& scope, TextBuilder& out) {
  const Level level(depth_);
  for (const Stmt& s : body) {
    budget_.step();
    const Flow flow = std::visit([&](const auto& node) { return run(node, scope, out); }, s.node);
    if (flow != Flow::next) return flow;
  }
  return Flow::next;
}

void Renderer::write(const Text& t, TextBuilder& out) {
  budget_.output(out.size(), t.size());
  out.put(t, 0, t.size());
}

void Renderer::write_value(const Value& v, TextBuilder& out) {
  if (const Text* text = v.str())
    write(*text, out);
  else if (!v.is_undefined())
    write(to_text(v, budget_), out);
}

Renderer::Flow Renderer::run(const TextStmt& s, Scope&, TextBuilder& out) {
  budget_.output(out.size(), s.text.size());
  out.put(s.text, false);
  return Flow::next;
}

Renderer::Flow Renderer::run(const OutputStmt& s, Scope& scope, TextBuilder& out) {
  write_value(eval(*s.value, scope), out);
  return Flow::next;
}

Renderer::Flow Renderer::run(const IfStmt& s, Scope& scope, TextBuilder& out) {
  for (const auto& [condition, body] : s.branches)
    if (truthy(eval(*condition, scope))) return execute(body, scope, out);
  return execute(s.otherwise, scope, out);
}

Renderer::Flow Renderer::run(const ForStmt& s, Scope& scope, TextBuilder& out) {
  return loop_over(s, eval(*s.items, scope), scope, out, 0);
}

LoopState::Pull Renderer::pull_items(const ForStmt& s, Cursor items, Scope& scope) {
  if (!s.condition) return [items = std::move(items)]() mutable { return items.next(); };
  return [this, &s, &scope, items = std::move(items)]() mutable -> std::optional<Value> {
    while (auto item = items.next()) {
      Scope here;
      Scope& inner = open_scope(here, scope, s.keep_scope);
      assign(s.target, *item, inner);
      if (truthy(eval(*s.condition, inner))) return item;
    }
    return std::nullopt;
  };
}

Renderer::Flow Renderer::loop_over(const ForStmt& s, const Value& items, Scope& scope, TextBuilder& out,
                                   std::uint32_t depth0) {
  Cursor cursor(items, budget_);
  const auto size = s.condition ? std::nullopt : cursor.size();
  budget_.memory(sizeof(LoopState));
  LoopState& loop =
      loops_.emplace_back(pull_items(s, std::move(cursor), scope), size, depth0, s.recursive ? &s : nullptr, &scope);
  Scope here;
  Scope& inner = open_scope(here, scope, s.keep_scope);
  bool any = false;  // an item went through the body to its end: as Jinja has it, break and continue do not count
  while (const auto item = loop.next()) {
    budget_.step();
    inner.clear();
    inner.set(template_.loop.id, Value(&loop));
    assign(s.target, *item, inner);
    const Flow flow = execute(s.body, inner, out);
    if (flow == Flow::break_) break;
    any = any || flow == Flow::next;
  }
  loop.end();
  if (any) return Flow::next;
  inner.clear();
  return execute(s.otherwise, inner, out);
}

Renderer::Flow Renderer::run(const SetStmt& s, Scope& scope, TextBuilder&) {
  assign(s.target, eval(*s.value, scope), scope);
  return Flow::next;
}

Renderer::Flow Renderer::run(const SetBlockStmt& s, Scope& scope, TextBuilder&) {
  Scope here;
  Value text = capture(s.body, open_scope(here, scope, s.keep_scope));
  if (s.filter) text = filter_chain(*s.filter, text, scope);
  assign(s.target, text, scope);
  return Flow::next;
}

Renderer::Flow Renderer::run(const FilterBlockStmt& s, Scope& scope, TextBuilder& out) {
  Scope here;
  const Value text = capture(s.body, open_scope(here, scope, s.keep_scope));
  write_value(filter_chain(*s.filter, text, scope), out);
  return Flow::next;
}

Renderer::Flow Renderer::run(const WithStmt& s, Scope& scope, TextBuilder& out) {
  Scope here;
  Scope& inner = open_scope(here, scope, s.keep_scope);
  for (const auto& [target, value] : s.values) assign(target, eval(*value, scope), inner);
  return execute(s.body, inner, out);
}

Renderer::Flow Renderer::run(const BlockStmt& s, Scope& scope, TextBuilder& out) {
  Scope here;
  return execute(s.body, open_scope(here, s.scoped ? scope : top_, s.keep_scope), out);
}

Renderer::Flow Renderer::run(const MacroStmt& s, Scope& scope, TextBuilder&) {
  scope.set(s.name.id, macro_value(*s.macro, scope));
  return Flow::next;
}

Renderer::Flow Renderer::run(const CallStmt& s, Scope& scope, TextBuilder& out) {
  const auto& e = std::get<CallExpr>(s.call->node);
  const Value callee = eval(*e.callee, scope);
  Args args = evaluate(e.arguments, scope);
  args.keyword.emplace_back("caller", macro_value(*s.caller, scope));
  write_value(call(callee, args), out);
  return Flow::next;
}

Value Renderer::capture(const Body& body, Scope& scope) {
  TextBuilder text(budget_);
  execute(body, scope, text);
  return Value::string(text.take(), budget_);
}

Value Renderer::filter_chain(const Expr& e, const Value& text, Scope& scope) {
  const Level level(depth_);
  const auto& f = std::get<FilterExpr>(e.node);
  const Value input = f.input ? filter_chain(*f.input, text, scope) : text;
  return apply_filter(f.name, input, evaluate(f.arguments, scope), budget_);
}

void Renderer::assign(const Target& t, const Value& v, Scope& scope) {
  if (!t.attribute.empty()) return assign_attribute(t, v, scope);
  if (t.elements.empty()) return scope.set(t.name.id, v);
  if (!iterable(v)) fault("cannot unpack non-iterable {} object", v.type_name());
  Cursor parts(v, budget_);
  std::size_t n = 0;
  while (const auto part = parts.next()) {
    if (n == t.elements.size()) fault("too many values to unpack (expected {})", n);
    assign(t.elements[n++], *part, scope);
  }
  if (n < t.elements.size()) fault("not enough values to unpack (expected {}, got {})", t.elements.size(), n);
}

void Renderer::assign_attribute(const Target& t, const Value& v, Scope& scope) {
  const Value* object = scope.find(t.name.id, budget_);
  const auto* ns = object != nullptr ? object->get<Namespace*>() : nullptr;
  if (ns == nullptr) fault("cannot assign attribute on non-namespace object");
  check_attribute(t.attribute);
  (*ns)->attributes.set(t.attribute, v, budget_);
}

}  // namespace sluice::text::jinja
