// str() and repr() of values.
#include "text/jinja/dict.h"
#include "text/jinja/loop.h"
#include "text/jinja/number.h"
#include "text/jinja/strings.h"
#include "text/jinja/value.h"

namespace sluice::text::jinja {

namespace {

class Repr {
 public:
  explicit Repr(Budget& budget) : out_(budget) {}

  void add(const Value& v) {
    if (v.is_undefined())
      out_.add("Undefined");
    else if (v.is_none())
      out_.add("None");
    else if (const auto* b = v.get<bool>())
      out_.add(*b ? "True" : "False");
    else if (v.is_integral())
      out_.add(integer_text(v));
    else if (const auto* d = v.get<double>())
      out_.add(float_repr(*d));
    else if (const Text* s = v.str())
      out_.add(string_repr(*s, out_.budget()));
    else if (const List* l = v.list())
      add_list(*l);
    else if (const Dict* m = v.dict())
      add_dict(*m);
    else if (const auto* view = v.get<ViewRef>())
      add_view(**view, v.type_name());
    else if (const auto* loop = v.get<LoopState*>())
      out_.add(fmt::format("<LoopContext {}>", (*loop)->position()));
    else
      out_.add(fmt::format("<{}>", v.type_name()));
  }

  [[nodiscard]] Text take() { return out_.take(); }

 private:
  void add_list(const List& l) {
    if (l.kind == ListKind::range) {
      const auto [start, stop, step] = l.range;
      return out_.add(step == 1 ? fmt::format("range({}, {})", start, stop)
                                : fmt::format("range({}, {}, {})", start, stop, step));
    }
    const bool list = l.kind == ListKind::list;
    out_.add(list ? "[" : "(");
    for (std::size_t i = 0; i < l.items.size(); ++i) {
      if (i > 0) out_.add(", ");
      add(l.items[i]);
    }
    if (!list && l.items.size() == 1) out_.add(",");
    out_.add(list ? "]" : ")");
  }

  void add_dict(const Dict& d) {
    out_.add("{");
    bool first = true;
    for (const auto& [k, v] : d.items()) {
      if (!first) out_.add(", ");
      first = false;
      add(k);
      out_.add(": ");
      add(v);
    }
    out_.add("}");
  }

  void add_view(const View& view, std::string_view name) {
    out_.add(fmt::format("{}([", name));
    bool first = true;
    for (const auto& [k, v] : view.dict->items()) {
      if (!first) out_.add(", ");
      first = false;
      if (view.kind == View::Kind::items) out_.add("(");
      if (view.kind != View::Kind::values) add(k);
      if (view.kind == View::Kind::items) out_.add(", ");
      if (view.kind != View::Kind::keys) add(v);
      if (view.kind == View::Kind::items) out_.add(")");
    }
    out_.add("])");
  }

  TextBuilder out_;
};

}  // namespace

Text repr(const Value& v, Budget& budget) {
  Repr r(budget);
  r.add(v);
  return r.take();
}

Text to_text(const Value& v, Budget& budget) {
  Text out = soft_text(v, budget);
  out.markup = false;
  return out;
}

Text soft_text(const Value& v, Budget& budget) {
  if (v.is_undefined()) return {};
  if (const Text* s = v.str()) {
    budget.memory(s->size());
    return *s;
  }
  return repr(v, budget);
}

}  // namespace sluice::text::jinja
