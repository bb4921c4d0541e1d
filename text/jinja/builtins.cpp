#include "text/jinja/builtins.h"

#include <algorithm>
#include <array>

namespace sluice::text::jinja {

Filter find_filter(std::string_view name) {
  static const Filters kAll = [] {
    Filters all = sequence_filters();
    for (const Filters* more : {&selecting_filters(), &number_filters(), &text_filters()})
      all.insert(more->begin(), more->end());
    return all;
  }();
  const auto it = kAll.find(name);
  return it == kAll.end() ? nullptr : it->second;
}

bool unsupported_filter(std::string_view name) {
  constexpr std::array<std::string_view, 5> kNames = {"pprint", "random", "striptags", "urlize", "wordwrap"};
  return std::ranges::find(kNames, name) != kNames.end();
}

bool unsupported_global(std::string_view name) { return name == "lipsum" || name == "super"; }

Value apply_filter(std::string_view name, const Value& input, const Args& args, Budget& budget) {
  budget.step();
  const Filter f = find_filter(name);
  if (f == nullptr && unsupported_filter(name)) fault("the chat template engine has no filter '{}'", name);
  if (f == nullptr) fault("No filter named '{}'.", name);
  return f(input, args, budget);
}

bool apply_test(std::string_view name, const Value& input, const Args& args, Budget& budget) {
  budget.step();
  const Test t = find_test(name);
  if (t == nullptr) fault("No test named '{}'.", name);
  return t(input, args, budget);
}

}  // namespace sluice::text::jinja
