#pragma once
// Methods of str, dict and list that a template may call. Those that would change the object do not exist, as in
// the immutable sandbox.
#include <string_view>

#include "text/jinja/arguments.h"

namespace sluice::text::jinja {

[[nodiscard]] bool has_method(const Value& self, std::string_view name);
[[nodiscard]] Value call_method(const Value& self, std::string_view name, const Args& args, Budget& budget);

/// obj[key] and obj.key of plain values; null where Python has a LookupError or TypeError.
[[nodiscard]] std::optional<Value> item_of(const Value& object, const Value& key, Budget& budget);

/// object[start:stop:step]; a null bound is one left out.
[[nodiscard]] Value slice(const Value& object, const Value* start, const Value* stop, const Value* step,
                          Budget& budget);

}  // namespace sluice::text::jinja
