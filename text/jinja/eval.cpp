#include "text/jinja/eval.h"

#include <deque>
#include <optional>
#include <string_view>

#include "text/jinja/filters.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"

namespace sluice::text::jinja {

namespace {

/// Names bound in one block. Lookup goes outwards; assignment never does, as in Jinja.
struct Scope {
  const Scope* outer = nullptr;
  std::vector<std::pair<std::string_view, Value>> names{};

  [[nodiscard]] const Value* find(std::string_view name) const {
    for (const Scope* s = this; s != nullptr; s = s->outer)
      for (const auto& [n, v] : s->names)
        if (n == name) return &v;
    return nullptr;
  }
  void set(std::string_view name, Value v) {
    for (auto& [n, old] : names)
      if (n == name) {
        old = std::move(v);
        return;
      }
    names.emplace_back(name, std::move(v));
  }
};

enum class Flow { next, break_, continue_ };

class Renderer {
 public:
  Renderer(const Variables& variables, const FormatNow& format_now, Budget& budget)
      : format_now_(format_now), budget_(budget) {
    builtins_.set("range", global(Global::range));
    builtins_.set("dict", global(Global::dict));
    builtins_.set("namespace", global(Global::namespace_));
    builtins_.set("raise_exception", global(Global::raise_exception));
    builtins_.set("strftime_now", global(Global::strftime_now));
    for (const auto& [name, value] : variables) builtins_.set(name, value);
    top_.outer = &builtins_;
  }

  std::string run(const Body& body) {
    std::string out;
    execute(body, top_, out);
    return out;
  }

 private:
  static Value global(Global g) { return Value(std::make_shared<const Callable>(Callable{g})); }

  // --- statements ---------------------------------------------------------------------------------------------

  Flow execute(const Body& body, Scope& scope, std::string& out) {
    const Level level(depth_, budget_.max_depth());
    for (const Stmt& s : body) {
      budget_.step();
      const Flow flow = std::visit([&](const auto& node) { return run(node, scope, out); }, s.node);
      if (flow != Flow::next) return flow;
    }
    return Flow::next;
  }

  void write(std::string_view s, std::string& out) {
    budget_.output(out.size(), s.size());
    out += s;
  }

  Flow run(const TextStmt& s, Scope&, std::string& out) {
    write(s.text, out);
    return Flow::next;
  }

  Flow run(const OutputStmt& s, Scope& scope, std::string& out) {
    const Value v = eval(*s.value, scope);
    if (const std::string* text = v.str())
      write(*text, out);
    else
      write(to_str(v, budget_), out);
    return Flow::next;
  }

  Flow run(const IfStmt& s, Scope& scope, std::string& out) {
    for (const auto& [condition, body] : s.branches)
      if (truthy(eval(*condition, scope))) return execute(body, scope, out);
    return execute(s.otherwise, scope, out);
  }

  Flow run(const ForStmt& s, Scope& scope, std::string& out) {
    std::vector<Value> items = iterate(eval(*s.items, scope), budget_);
    if (s.condition) items = filtered(s, std::move(items), scope);
    if (items.empty()) {
      Scope inner{.outer = &scope};
      return execute(s.otherwise, inner, out);
    }
    LoopState& loop = loops_.emplace_back(LoopState{.items = std::move(items), .changed = {}});
    for (; loop.index < loop.items.size(); ++loop.index) {
      budget_.step();
      Scope inner{.outer = &scope};
      inner.set("loop", Value(&loop));
      assign(s.target, loop.items[loop.index], inner);
      if (execute(s.body, inner, out) == Flow::break_) break;
    }
    return Flow::next;
  }

  std::vector<Value> filtered(const ForStmt& s, std::vector<Value> items, Scope& scope) {
    std::vector<Value> kept;
    for (Value& item : items) {
      Scope inner{.outer = &scope};
      assign(s.target, item, inner);
      if (truthy(eval(*s.condition, inner))) kept.push_back(std::move(item));
    }
    return kept;
  }

  Flow run(const SetStmt& s, Scope& scope, std::string&) {
    assign(s.target, eval(*s.value, scope), scope);
    return Flow::next;
  }

  Flow run(const SetBlockStmt& s, Scope& scope, std::string&) {
    Value text = capture(s.body, scope);
    if (s.filter) text = filter_chain(*s.filter, text, scope);
    assign(s.target, text, scope);
    return Flow::next;
  }

  Flow run(const FilterBlockStmt& s, Scope& scope, std::string& out) {
    write(to_str(filter_chain(*s.filter, capture(s.body, scope), scope), budget_), out);
    return Flow::next;
  }

  Flow run(const WithStmt& s, Scope& scope, std::string& out) {
    Scope inner{.outer = &scope};
    for (const auto& [target, value] : s.values) assign(target, eval(*value, scope), inner);
    return execute(s.body, inner, out);
  }

  Flow run(const MacroStmt& s, Scope& scope, std::string&) {
    const MacroNode* macro = s.macro.get();
    scope.set(macro->name, Value(std::make_shared<const Callable>(Callable{macro})));
    return Flow::next;
  }

  Flow run(const BreakStmt&, Scope&, std::string&) { return Flow::break_; }
  Flow run(const ContinueStmt&, Scope&, std::string&) { return Flow::continue_; }

  Value capture(const Body& body, Scope& scope) {
    Scope inner{.outer = &scope};
    std::string text;
    execute(body, inner, text);
    return Value::string(std::move(text), budget_);
  }

  Value filter_chain(const Expr& e, const Value& text, Scope& scope) {
    const Level level(depth_, budget_.max_depth());
    const auto& f = std::get<FilterExpr>(e.node);
    const Value input = f.input ? filter_chain(*f.input, text, scope) : text;
    return apply_filter(f.name, input, evaluate(f.arguments, scope), budget_);
  }

  void assign(const Target& t, const Value& v, Scope& scope) {
    if (t.elements.empty() && t.attribute.empty()) return scope.set(t.name, v);
    if (!t.attribute.empty()) return assign_attribute(t, v, scope);
    const std::vector<Value> parts = iterate(v, budget_);
    if (parts.size() != t.elements.size()) fault("cannot unpack {} values into {}", parts.size(), t.elements.size());
    for (std::size_t i = 0; i < parts.size(); ++i) assign(t.elements[i], parts[i], scope);
  }

  static void assign_attribute(const Target& t, const Value& v, Scope& scope) {
    const Value* object = scope.find(t.name);
    const auto* ns = object != nullptr ? object->get<Namespace*>() : nullptr;
    if (ns == nullptr) fault("cannot assign attribute on non-namespace object '{}'", t.name);
    set_attribute(**ns, t.attribute, v);
  }

  static void set_attribute(Namespace& ns, const std::string& name, const Value& v) {
    if (name.starts_with('_')) fault("a namespace stores no attribute with a leading underscore, but got '{}'", name);
    for (auto& [n, old] : ns.attributes)
      if (n == name) {
        old = v;
        return;
      }
    ns.attributes.emplace_back(name, v);
  }

  // --- expressions --------------------------------------------------------------------------------------------

  Value eval(const Expr& e, Scope& scope) {
    const Level level(depth_, budget_.max_depth() * 2);
    budget_.step();
    return std::visit([&](const auto& node) { return eval(node, scope); }, e.node);
  }

  Value eval(const LiteralExpr& e, Scope&) { return e.value; }

  Value eval(const NameExpr& e, Scope& scope) {
    const Value* v = scope.find(e.name);
    return v != nullptr ? *v : Value::undefined(e.name);
  }

  Value eval(const ListExpr& e, Scope& scope) {
    std::vector<Value> items;
    items.reserve(e.items.size());
    for (const auto& i : e.items) items.push_back(eval(*i, scope));
    return Value::list(std::move(items), budget_, e.tuple);
  }

  Value eval(const DictExpr& e, Scope& scope) {
    Dict d;
    for (const auto& [k, v] : e.items) {
      const Value key = eval(*k, scope);
      if (key.str() == nullptr) fault("a dict's keys must be strings, not {}", key.type_name());
      d.set(*key.str(), eval(*v, scope));
    }
    return make_dict(std::move(d), budget_);
  }

  Value eval(const UnaryExpr& e, Scope& scope) { return unary(e.op, eval(*e.operand, scope)); }

  Value eval(const BinaryExpr& e, Scope& scope) {
    Value left = eval(*e.left, scope);
    if (e.op == BinaryOp::and_) return truthy(left) ? eval(*e.right, scope) : left;
    if (e.op == BinaryOp::or_) return truthy(left) ? left : eval(*e.right, scope);
    return arithmetic(e.op, left, eval(*e.right, scope), budget_);
  }

  Value eval(const ConcatExpr& e, Scope& scope) {
    std::string out;
    for (const auto& part : e.parts) {
      const std::string piece = to_str(eval(*part, scope), budget_);
      budget_.memory(piece.size());
      out += piece;
    }
    return Value::string(std::move(out), budget_);
  }

  Value eval(const CompareExpr& e, Scope& scope) {
    Value left = eval(*e.first, scope);
    for (const auto& [op, operand] : e.rest) {
      Value right = eval(*operand, scope);
      if (!compare(op, left, right, budget_)) return Value::boolean(false);
      left = std::move(right);
    }
    return Value::boolean(true);
  }

  Value eval(const TernaryExpr& e, Scope& scope) {
    if (truthy(eval(*e.condition, scope))) return eval(*e.then, scope);
    return e.otherwise ? eval(*e.otherwise, scope) : Value();
  }

  /// obj.name: a method or attribute first, then an item.
  Value eval(const AttributeExpr& e, Scope& scope) {
    const Value object = eval(*e.object, scope);
    refuse_undefined(object);
    if (auto v = attribute(object, e.name)) return *std::move(v);
    if (object.dict() != nullptr)
      if (const Value* v = object.dict()->find(e.name)) return *v;
    return missing(object, e.name);
  }

  /// obj[key]: an item first, then a method or attribute.
  Value eval(const SubscriptExpr& e, Scope& scope) {
    const Value object = eval(*e.object, scope);
    const Value key = eval(*e.index, scope);
    refuse_undefined(object);
    if (auto v = item_of(object, key, budget_)) return *std::move(v);
    if (key.str() == nullptr) return missing(object, repr(key, budget_));
    if (auto v = attribute(object, *key.str())) return *std::move(v);
    return missing(object, *key.str());
  }

  Value eval(const SliceExpr& e, Scope& scope) {
    const Value object = eval(*e.object, scope);
    std::optional<Value> bound[3];
    const ExprPtr* parts[3] = {&e.start, &e.stop, &e.step};
    for (int i = 0; i < 3; ++i)
      if (*parts[i]) bound[i] = eval(**parts[i], scope);
    const auto at = [&](int i) { return bound[i] ? &*bound[i] : nullptr; };
    return slice(object, at(0), at(1), at(2), budget_);
  }

  Value eval(const CallExpr& e, Scope& scope) {
    const Value callee = eval(*e.callee, scope);
    const Args args = evaluate(e.arguments, scope);
    refuse_undefined(callee);
    const auto* c = callee.get<CallableRef>();
    if (c == nullptr) fault("'{}' object is not callable", callee.type_name());
    if (const auto* g = std::get_if<Global>(&(*c)->target)) return call_global(*g, args);
    if (const auto* m = std::get_if<const MacroNode*>(&(*c)->target)) return call_macro(**m, args);
    const auto& [self, name] = std::get<std::pair<Value, std::string>>((*c)->target);
    if (const auto* loop = self.get<LoopState*>()) return call_loop(**loop, name, args);
    return call_method(self, name, args, budget_);
  }

  Value eval(const FilterExpr& e, Scope& scope) {
    const Value input = eval(*e.input, scope);
    return apply_filter(e.name, input, evaluate(e.arguments, scope), budget_);
  }

  Value eval(const TestExpr& e, Scope& scope) {
    const Value input = eval(*e.input, scope);
    return Value::boolean(apply_test(e.name, input, evaluate(e.arguments, scope), budget_));
  }

  Args evaluate(const Arguments& a, Scope& scope) {
    Args out;
    for (const auto& e : a.positional) out.positional.push_back(eval(*e, scope));
    for (const auto& [name, e] : a.keyword) out.keyword.emplace_back(name, eval(*e, scope));
    return out;
  }

  // --- attributes and calls -----------------------------------------------------------------------------------

  static void refuse_undefined(const Value& v) {
    if (const auto* u = v.get<Undefined>()) fault("'{}' is undefined", u->name ? *u->name : "value");
  }

  static Value missing(const Value& object, std::string_view name) {
    return Value::undefined(fmt::format("{} object has no attribute '{}'", object.type_name(), name));
  }

  Value bound(const Value& self, std::string_view name) {
    budget_.memory(sizeof(Callable) + name.size());
    return Value(std::make_shared<const Callable>(Callable{std::pair(self, std::string(name))}));
  }

  std::optional<Value> attribute(const Value& object, std::string_view name) {
    if (has_method(object, name)) return bound(object, name);
    if (const auto* ns = object.get<Namespace*>()) {
      for (const auto& [n, v] : (*ns)->attributes)
        if (n == name) return v;
    }
    if (const auto* loop = object.get<LoopState*>()) return loop_attribute(object, **loop, name);
    return std::nullopt;
  }

  std::optional<Value> loop_attribute(const Value& self, const LoopState& loop, std::string_view name) {
    const auto n = static_cast<std::int64_t>(loop.items.size());
    const auto i = static_cast<std::int64_t>(loop.index);
    if (name == "index") return Value::integer(i + 1);
    if (name == "index0") return Value::integer(i);
    if (name == "revindex") return Value::integer(n - i);
    if (name == "revindex0") return Value::integer(n - i - 1);
    if (name == "first") return Value::boolean(i == 0);
    if (name == "last") return Value::boolean(i + 1 == n);
    if (name == "length") return Value::integer(n);
    if (name == "depth") return Value::integer(1);  // of recursive loops, which are refused
    if (name == "depth0") return Value::integer(0);
    if (name == "previtem")
      return i > 0 && i <= n ? loop.items[loop.index - 1] : Value::undefined("there is no previous item");
    if (name == "nextitem") return i + 1 < n ? loop.items[loop.index + 1] : Value::undefined("there is no next item");
    if (name == "cycle" || name == "changed") return bound(self, name);
    return std::nullopt;
  }

  Value call_loop(LoopState& loop, std::string_view name, const Args& args) {
    if (!args.keyword.empty()) fault("loop.{}() takes no named arguments", name);
    if (name == "cycle") {
      if (args.positional.empty()) fault("no items for cycling given");
      return args.positional[loop.index % args.positional.size()];
    }
    bool same = loop.changed.size() == args.positional.size();
    for (std::size_t i = 0; same && i < loop.changed.size(); ++i)
      same = equals(loop.changed[i], args.positional[i], budget_);
    loop.changed = args.positional;
    return Value::boolean(!same);
  }

  Value call_macro(const MacroNode& macro, const Args& args) {
    if (args.positional.size() > macro.parameters.size())
      fault("macro '{}' takes not more than {} arguments", macro.name, macro.parameters.size());
    Scope inner{.outer = &top_};
    for (std::size_t i = 0; i < args.positional.size(); ++i) inner.set(macro.parameters[i].first, args.positional[i]);
    for (const auto& [name, value] : args.keyword) bind_keyword(macro, name, value, args, inner);
    for (const auto& [name, fallback] : macro.parameters) {
      bool given = false;
      for (const auto& [n, v] : inner.names) given = given || n == name;
      if (!given) inner.set(name, fallback ? eval(*fallback, inner) : Value::undefined(name));
    }
    std::string text;
    execute(macro.body, inner, text);
    return Value::string(std::move(text), budget_);
  }

  static void bind_keyword(const MacroNode& macro, const std::string& name, const Value& value, const Args& args,
                           Scope& scope) {
    std::size_t i = 0;
    while (i < macro.parameters.size() && macro.parameters[i].first != name) ++i;
    if (i == macro.parameters.size()) fault("macro '{}' takes no argument '{}'", macro.name, name);
    if (i < args.positional.size()) fault("macro '{}' got '{}' twice", macro.name, name);
    scope.set(macro.parameters[i].first, value);
  }

  Value call_global(Global g, const Args& args) {
    switch (g) {
      case Global::range:
        return range(args);
      case Global::dict:
        return dict(args);
      case Global::namespace_:
        return make_namespace(args);
      case Global::raise_exception: {
        const Params p("raise_exception", args, {"message"});
        throw Fault{Error{Errc::invalid_argument, to_str(p.need(0), budget_), "messages"}};
      }
      case Global::strftime_now: {
        const Params p("strftime_now", args, {"format"});
        return Value::string(format_now_ ? format_now_(p.need_text(0)) : std::string(), budget_);
      }
    }
    return {};
  }

  Value range(const Args& args) {
    const std::size_t n = args.positional.size();
    if (n < 1 || n > 3 || !args.keyword.empty()) fault("range() takes one to three integers");
    std::int64_t part[3] = {0, 0, 1};
    for (std::size_t i = 0; i < n; ++i) {
      if (!args.positional[i].as_int()) fault("range() takes integers, not {}", args.positional[i].type_name());
      part[n == 1 ? 1 : i] = *args.positional[i].as_int();
    }
    const auto [start, stop, step] = part;
    if (step == 0) fault("range() arg 3 must not be zero");
    constexpr std::size_t kMaxRange = 100000;  // as Jinja's sandbox
    std::vector<Value> out;
    for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
      if (out.size() == kMaxRange) fault("range() is longer than {}", kMaxRange);
      out.push_back(Value::integer(i));
      if (__builtin_add_overflow(i, step, &i)) break;
    }
    return Value::list(std::move(out), budget_);
  }

  Value dict(const Args& args) {
    Dict d;
    if (args.positional.size() > 1) fault("dict() takes one mapping");
    if (args.positional.size() == 1) {
      if (args.positional[0].dict() == nullptr) fault("dict() takes a mapping, not {}", args.positional[0].type_name());
      d = *args.positional[0].dict();
    }
    for (const auto& [name, value] : args.keyword) d.set(name, value);
    return make_dict(std::move(d), budget_);
  }

  Value make_namespace(const Args& args) {
    budget_.memory(sizeof(Namespace));
    Namespace& ns = namespaces_.emplace_back();
    const Value initial = dict(args);
    for (const auto& [name, value] : initial.dict()->items()) set_attribute(ns, name, value);
    return Value(&ns);
  }

  const FormatNow& format_now_;
  Budget& budget_;
  std::deque<LoopState> loops_;  // these two may refer to each other, and to themselves: all die with the rendering
  std::deque<Namespace> namespaces_;
  Scope builtins_;
  Scope top_;
  std::uint32_t depth_ = 0;
};

}  // namespace

std::string render(const Body& body, const Variables& variables, const FormatNow& format_now, Budget& budget) {
  return Renderer(variables, format_now, budget).run(body);
}

}  // namespace sluice::text::jinja
