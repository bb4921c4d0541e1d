#pragma once
// x.name, x[key] and x[a:b:c] as Jinja's sandbox has them: what is not there is undefined, not an error.
#include "text/jinja/value.h"

namespace sluice::text::jinja {

/// obj.name: a method or attribute first, then an item.
[[nodiscard]] Value attribute_of(const Value& object, std::string_view name, Budget& budget);
/// obj[key]: an item first, then a method or attribute.
[[nodiscard]] Value subscript(const Value& object, const Value& key, Budget& budget);
/// object[start:stop:step]; a null bound is one left out.
[[nodiscard]] Value slice(const Value& object, const Value* start, const Value* stop, const Value* step,
                          Budget& budget);

}  // namespace sluice::text::jinja
