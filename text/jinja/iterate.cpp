#include "text/jinja/iterate.h"

#include "text/jinja/characters.h"
#include "text/jinja/dict.h"

namespace sluice::text::jinja {

bool iterable(const Value& v) {
  return v.is_undefined() || v.str() != nullptr || v.list() != nullptr || v.dict() != nullptr || v.is<ViewRef>() ||
         v.is<IteratorRef>();
}

Cursor::Cursor(Value v, Budget& budget) : over_(std::move(v)), budget_(&budget) {
  if (!iterable(over_)) fault("'{}' object is not iterable", over_.type_name());
}

std::optional<Value> Cursor::next() {
  budget_->step();
  if (const List* l = over_.list()) {
    if (at_ >= l->items.size()) return std::nullopt;
    return l->items[at_++];
  }
  if (const Text* s = over_.str()) {
    if (at_ >= s->size()) return std::nullopt;
    const std::size_t from = at_;
    at_ += character_at(s->bytes, at_).length;
    Text c = piece(*s, from, at_);
    c.markup = false;  // iterating over Markup gives plain strings
    return Value::string(std::move(c), *budget_);
  }
  if (const auto* i = over_.get<IteratorRef>()) return (*i)->pull();
  const auto* view = over_.get<ViewRef>();
  const Dict* d = view != nullptr ? (*view)->dict.get() : over_.dict();
  if (d == nullptr || at_ >= d->size()) return std::nullopt;
  const auto& [key, value] = d->items()[at_++];
  if (view == nullptr || (*view)->kind == View::Kind::keys) return key;
  if ((*view)->kind == View::Kind::values) return value;
  return Value::list({key, value}, *budget_, ListKind::tuple);
}

std::optional<std::size_t> Cursor::size() const {
  if (over_.is<IteratorRef>()) return std::nullopt;
  return static_cast<std::size_t>(length(over_, *budget_));
}

std::vector<Value> iterate(const Value& v, Budget& budget) {
  if (const List* l = v.list()) {
    budget.memory(l->items.size() * sizeof(Value));
    return l->items;
  }
  std::vector<Value> out;
  Cursor cursor(v, budget);
  while (auto item = cursor.next()) {
    budget.memory(sizeof(Value));
    out.push_back(*std::move(item));
  }
  return out;
}

}  // namespace sluice::text::jinja
