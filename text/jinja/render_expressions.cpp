// Expressions of a template.
#include "text/jinja/builtins.h"
#include "text/jinja/format.h"
#include "text/jinja/item.h"
#include "text/jinja/operators.h"
#include "text/jinja/renderer.h"

namespace sluice::text::jinja {

Value Renderer::eval(const Expr& e, Scope& scope) {
  const Level level(depth_);
  budget_.step();
  return std::visit([&](const auto& node) { return eval(node, scope); }, e.node);
}

Value Renderer::eval(const LiteralExpr& e, Scope&) { return e.value; }

Value Renderer::eval(const NameExpr& e, Scope& scope) {
  if (const Value* v = scope.find(e.name.id, budget_)) return *v;
  if (const auto& v = globals_[e.name.id]) return *v;
  return Value::undefined({Missing::Form::name, e.name.text});
}

Value Renderer::eval(const ListExpr& e, Scope& scope) {
  std::vector<Value> items;
  items.reserve(e.items.size());
  for (const auto& i : e.items) items.push_back(eval(*i, scope));
  return Value::list(std::move(items), budget_, e.tuple ? ListKind::tuple : ListKind::list);
}

Value Renderer::eval(const DictExpr& e, Scope& scope) {
  Dict d;
  for (const auto& [k, v] : e.items) {
    Value key = eval(*k, scope);
    d.set(std::move(key), eval(*v, scope), budget_);
  }
  return Value::dict(std::move(d), budget_);
}

Value Renderer::eval(const UnaryExpr& e, Scope& scope) { return unary(e.op, eval(*e.operand, scope), budget_); }

Value Renderer::eval(const BinaryExpr& e, Scope& scope) {
  Value left = eval(*e.left, scope);
  if (e.op == BinaryOp::and_) return truthy(left) ? eval(*e.right, scope) : left;
  if (e.op == BinaryOp::or_) return truthy(left) ? left : eval(*e.right, scope);
  return arithmetic(e.op, left, eval(*e.right, scope), budget_);
}

Value Renderer::eval(const ConcatExpr& e, Scope& scope) {
  TextBuilder out(budget_);
  for (const auto& part : e.parts) {
    const Value v = eval(*part, scope);
    if (const Text* t = v.str())
      out.add(*t);
    else
      out.add(to_text(v, budget_));
  }
  return Value::string(out.take(), budget_);
}

Value Renderer::eval(const CompareExpr& e, Scope& scope) {
  Value left = eval(*e.first, scope);
  for (const auto& [op, operand] : e.rest) {
    Value right = eval(*operand, scope);
    if (!compare(op, left, right, budget_)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Renderer::eval(const TernaryExpr& e, Scope& scope) {
  if (truthy(eval(*e.condition, scope))) return eval(*e.then, scope);
  if (e.otherwise) return eval(*e.otherwise, scope);
  return Value::undefined("the inline if-expression evaluated to false and no else section was defined.");
}

Value Renderer::eval(const AttributeExpr& e, Scope& scope) {
  return attribute_of(eval(*e.object, scope), e.name, budget_);
}

Value Renderer::eval(const SubscriptExpr& e, Scope& scope) {
  const Value object = eval(*e.object, scope);
  return subscript(object, eval(*e.index, scope), budget_);
}

Value Renderer::eval(const SliceExpr& e, Scope& scope) {
  const Value object = eval(*e.object, scope);
  std::optional<Value> bound[3];
  const ExprPtr* parts[3] = {&e.start, &e.stop, &e.step};
  for (int i = 0; i < 3; ++i)
    if (*parts[i]) bound[i] = eval(**parts[i], scope);
  const auto at = [&](int i) { return bound[i] ? &*bound[i] : nullptr; };
  return slice(object, at(0), at(1), at(2), budget_);
}

Value Renderer::eval(const CallExpr& e, Scope& scope) {
  const Value callee = eval(*e.callee, scope);
  return call(callee, evaluate(e.arguments, scope));
}

Value Renderer::eval(const FilterExpr& e, Scope& scope) {
  if (find_filter(e.name) == nullptr) fault("No filter named '{}' found.", e.name);
  const Value input = eval(*e.input, scope);
  return apply_filter(e.name, input, evaluate(e.arguments, scope), budget_);
}

Value Renderer::eval(const TestExpr& e, Scope& scope) {
  if (find_test(e.name) == nullptr) fault("No test named '{}' found.", e.name);
  const Value input = eval(*e.input, scope);
  return Value::boolean(apply_test(e.name, input, evaluate(e.arguments, scope), budget_));
}

Args Renderer::evaluate(const Arguments& a, Scope& scope) {
  Args out;
  out.positional.reserve(a.positional.size());
  for (const auto& e : a.positional) out.positional.push_back(eval(*e, scope));
  if (a.more_positional)
    for (Value& v : iterate(eval(*a.more_positional, scope), budget_)) out.positional.push_back(std::move(v));
  for (const auto& [name, e] : a.keyword) out.keyword.emplace_back(name, eval(*e, scope));
  if (a.more_keyword) {
    for (auto& more : keywords_of(eval(*a.more_keyword, scope), budget_).keyword) {
      for (const auto& [name, e] : a.keyword)
        if (name == more.first) fault("got multiple values for keyword argument '{}'", name);
      budget_.step(1 + a.keyword.size() / 8);
      out.keyword.push_back(std::move(more));
    }
  }
  return out;
}

}  // namespace sluice::text::jinja
