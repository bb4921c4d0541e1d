#pragma once
// Arithmetic and comparison of values as Python does them.
#include "text/jinja/ast.h"

namespace sluice::text::jinja {

/// `op` is not and_ or or_: those do not evaluate both sides.
[[nodiscard]] Value arithmetic(BinaryOp op, const Value& a, const Value& b, Budget& budget);
[[nodiscard]] Value unary(UnaryOp op, const Value& v, Budget& budget);
[[nodiscard]] bool compare(CompareOp op, const Value& a, const Value& b, Budget& budget);

}  // namespace sluice::text::jinja
