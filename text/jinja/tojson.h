#pragma once
// The tojson filter as transformers defines it: Python's json.dumps with ensure_ascii off, keys in their order.
#include "text/jinja/arguments.h"

namespace sluice::text::jinja {

[[nodiscard]] Value to_json(const Value& v, const Args& args, Budget& budget);

}  // namespace sluice::text::jinja
