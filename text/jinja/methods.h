#pragma once
// Methods of str, dict, list and other values that a template may call. Those that would change the object do not
// exist, as in the immutable sandbox. A file each for those of str that make a text, that look into one, and the
// others.
#include <map>
#include <string_view>

#include "text/jinja/arguments.h"

namespace sluice::text::jinja {

using Methods = std::map<std::string_view, Method>;

[[nodiscard]] const Methods& str_making();
[[nodiscard]] const Methods& str_looking();
[[nodiscard]] const Methods& container_methods(const Value& self);
/// dict.fromkeys(keys, value)
[[nodiscard]] Value dict_from_keys(const Value& self, const Args& args, Budget& budget);

/// Null where there is none. `name` is its key, which lives on.
struct FoundMethod {
  std::string_view name;
  Method method = nullptr;
};
[[nodiscard]] FoundMethod find_method(const Value& self, std::string_view name);
/// Python has it and the sandbox forbids it, because it changes its object.
[[nodiscard]] bool forbidden_method(const Value& self, std::string_view name);
/// A method that Python has and this engine does not; a template that calls it is refused when it is loaded.
[[nodiscard]] bool unsupported_method(std::string_view name);

}  // namespace sluice::text::jinja
