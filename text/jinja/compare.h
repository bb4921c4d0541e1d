#pragma once
// Equality, order and membership of values as Python has them.
#include "text/jinja/value.h"

namespace sluice::text::jinja {

[[nodiscard]] bool equals(const Value& a, const Value& b, Budget& budget);
/// a < b; a fault where Python has a TypeError, with `op` as the operator that was asked for.
[[nodiscard]] bool less(const Value& a, const Value& b, Budget& budget, std::string_view op = "<");
[[nodiscard]] bool contains(const Value& container, const Value& item, Budget& budget);

}  // namespace sluice::text::jinja
