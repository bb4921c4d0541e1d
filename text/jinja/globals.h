#pragma once
// The functions that every template may call and that need nothing of the renderer.
#include "text/jinja/arguments.h"
#include "text/jinja/dict.h"

namespace sluice::text::jinja {

[[nodiscard]] Value make_range(const Args& args, Budget& budget);
[[nodiscard]] Dict make_dict(std::string_view function, const Args& args, Budget& budget);
[[nodiscard]] Value make_cycler(const Args& args, Budget& budget);
[[nodiscard]] Value make_joiner(const Args& args, Budget& budget);
[[nodiscard]] Value call_cycler(Cycler& c, std::string_view method);
[[nodiscard]] Value call_joiner(Joiner& j, Budget& budget);

}  // namespace sluice::text::jinja
