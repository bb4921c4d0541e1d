#include "text/jinja/renderer.h"

namespace sluice::text::jinja {

Renderer::Renderer(const Template& t, const Variables& variables, const FormatNow& format_now, Budget& budget)
    : template_(t), format_now_(format_now), budget_(budget), globals_(t.symbols.size()), depth_(budget.limits()) {
  const auto define = [&](const std::string& name, Value v) {
    if (const auto* id = t.symbols.find(name)) globals_[*id] = std::move(v);
  };
  constexpr std::pair<const char*, Global> kGlobals[] = {{"range", Global::range},
                                                         {"dict", Global::dict},
                                                         {"namespace", Global::namespace_},
                                                         {"cycler", Global::cycler},
                                                         {"joiner", Global::joiner},
                                                         {"raise_exception", Global::raise_exception},
                                                         {"strftime_now", Global::strftime_now}};
  for (const auto& [name, g] : kGlobals) define(name, Value(std::make_shared<const Callable>(Callable{g})));
  for (const auto& [name, value] : variables) define(name, value);
}

Text Renderer::run() {
  TextBuilder out(budget_);
  execute(template_.body, top_, out);
  return out.take();
}

Scope& Renderer::open_scope(Scope& here, Scope& outer, bool keep) {
  if (!keep) {
    here.outer = &outer;
    return here;
  }
  budget_.memory(sizeof(Scope));
  Scope& kept = scopes_.emplace_back();
  kept.outer = &outer;
  return kept;
}

Text render(const Template& t, const Variables& variables, const FormatNow& format_now, Budget& budget) {
  return Renderer(t, variables, format_now, budget).run();
}

}  // namespace sluice::text::jinja
