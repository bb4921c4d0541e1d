#pragma once
// Renders a parsed template. One rendering holds all that it makes and frees it at its end, whatever the template
// did; it throws Fault when the template fails, refuses its input (raise_exception) or exceeds the budget.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"

namespace sluice::text::jinja {

using Variables = std::vector<std::pair<std::string, Value>>;
/// The local time by a strftime format; empty if the format cannot be served.
using FormatNow = std::function<std::string(const std::string&)>;

/// Of equal names in `variables` the last one counts.
[[nodiscard]] Text render(const Template& t, const Variables& variables, const FormatNow& format_now, Budget& budget);

}  // namespace sluice::text::jinja
