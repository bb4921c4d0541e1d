// Calls of macros, methods, loops and functions.
#include <unordered_map>

#include "text/jinja/globals.h"
#include "text/jinja/renderer.h"

namespace sluice::text::jinja {

namespace {

/// The named arguments of a macro call, found by hash and taken one by one.
class Named {
 public:
  Named(const Args& args, Budget& budget) : args_(args), taken_(args.keyword.size(), false) {
    budget.step(args.keyword.size());
    for (std::size_t i = 0; i < args.keyword.size(); ++i) index_.emplace(args.keyword[i].first, i);
  }
  [[nodiscard]] const Value* take(std::string_view name) {
    if (index_.empty()) return nullptr;
    const auto it = index_.find(name);
    if (it == index_.end()) return nullptr;
    taken_[it->second] = true;
    return &args_.keyword[it->second].second;
  }
  template <class F>
  void left(F f) const {
    for (std::size_t i = 0; i < taken_.size(); ++i)
      if (!taken_[i]) f(args_.keyword[i].first, args_.keyword[i].second);
  }

 private:
  const Args& args_;
  std::vector<bool> taken_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

}  // namespace

Value Renderer::macro_value(const MacroNode& node, Scope& scope) {
  budget_.memory(sizeof(Callable));
  return Value(std::make_shared<const Callable>(Callable{Callable::Macro{&node, &scope}}));
}

Value Renderer::call(const Value& callee, const Args& args) {
  refuse_undefined(callee);
  if (const auto* loop = callee.get<LoopState*>()) return call_loop(**loop, args);
  const auto* c = callee.get<CallableRef>();
  if (c == nullptr) fault("'{}' object is not callable", callee.type_name());
  const auto& target = (*c)->target;
  if (const auto* g = std::get_if<Global>(&target)) return call_global(*g, args);
  if (const auto* m = std::get_if<Callable::Macro>(&target)) return call_macro(*m, args);
  if (const auto* j = std::get_if<std::shared_ptr<Joiner>>(&target)) return call_joiner(**j, budget_);
  return call_bound(std::get<Callable::Bound>(target), args);
}

Value Renderer::call_bound(const Callable::Bound& bound, const Args& args) {
  budget_.step();
  if (bound.method != nullptr) return bound.method(bound.self, args, budget_);
  if (const auto* loop = bound.self.get<LoopState*>()) return (*loop)->call(bound.name, args, budget_);
  return call_cycler(**bound.self.get<CyclerRef>(), bound.name);
}

/// loop(items) of a recursive for statement: its text over those items.
Value Renderer::call_loop(LoopState& loop, const Args& args) {
  if (loop.recursive() == nullptr) fault("The loop must have the 'recursive' marker to be called recursively.");
  const Params p("loop", args, {"iterable"});
  TextBuilder text(budget_);
  loop_over(*loop.recursive(), p.need(0), *loop.scope(), text, loop.depth0() + 1);
  return Value::string(text.take(), budget_);
}

Value Renderer::call_macro(const Callable::Macro& macro, const Args& args) {
  const MacroNode& node = *macro.node;
  Scope here;
  Scope& inner = open_scope(here, *macro.scope, node.keep_scope);
  Named named(args, budget_);
  for (std::size_t i = 0; i < node.parameters.size(); ++i) {
    budget_.step();
    const auto& [name, fallback] = node.parameters[i];
    const Value* given = i < args.positional.size() ? &args.positional[i] : named.take(name.text);
    if (given != nullptr)
      inner.set(name.id, *given);
    else
      inner.set(name.id, fallback ? eval(*fallback, inner)
                                  : Value::undefined(fmt::format("parameter '{}' was not provided", name.text)));
  }
  if (node.takes_caller && !node.caller_is_parameter) {
    const Value* caller = named.take("caller");
    inner.set(node.caller.id, caller != nullptr ? *caller : Value::undefined("No caller defined"));
  }
  if (node.takes_kwargs) {
    Dict rest;
    named.left([&](const std::string& name, const Value& v) { rest.set(name, v, budget_); });
    inner.set(node.kwargs.id, Value::dict(std::move(rest), budget_));
  } else {
    named.left([&](const std::string& name, const Value&) {
      if (name == "caller")
        fault("macro '{}' was invoked with two values for the special caller argument. This is most likely a bug.",
              node.name);
      fault("macro '{}' takes no keyword argument '{}'", node.name, name);
    });
  }
  const std::size_t known = std::min(node.parameters.size(), args.positional.size());
  if (node.takes_varargs)
    inner.set(node.varargs.id,
              Value::list({args.positional.begin() + static_cast<std::ptrdiff_t>(known), args.positional.end()},
                          budget_, ListKind::tuple));
  else if (args.positional.size() > known)
    fault("macro '{}' takes not more than {} argument(s)", node.name, node.parameters.size());
  return capture(node.body, inner);
}

Value Renderer::call_global(Global g, const Args& args) {
  switch (g) {
    case Global::range:
      return make_range(args, budget_);
    case Global::dict:
      return Value::dict(make_dict("dict", args, budget_), budget_);
    case Global::namespace_:
      return make_namespace(args);
    case Global::cycler:
      return make_cycler(args, budget_);
    case Global::joiner:
      return make_joiner(args, budget_);
    case Global::raise_exception: {
      const Params p("raise_exception", args, {"message"});
      throw Fault{Error{Errc::invalid_argument, to_text(p.need(0), budget_).bytes, "messages"}};
    }
    case Global::strftime_now: {
      const Params p("strftime_now", args, {"format"});
      return Value::string(format_now_ ? format_now_(p.need_text(0).bytes) : std::string(), budget_);
    }
  }
  return {};
}

Value Renderer::make_namespace(const Args& args) {
  budget_.memory(sizeof(Namespace));
  Dict attributes = make_dict("namespace", args, budget_);
  for (const auto& [name, value] : attributes.items())
    if (name.str() != nullptr) check_attribute(name.str()->bytes);
  return Value(&namespaces_.emplace_back(Namespace{std::move(attributes)}));
}

}  // namespace sluice::text::jinja
