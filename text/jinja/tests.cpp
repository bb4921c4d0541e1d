#include <map>

#include "text/jinja/filters.h"
#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

using Test = bool (*)(const Value& v, const Args& args, Budget& budget);

const Value& only(const Args& args) {
  if (args.positional.size() != 1 || !args.keyword.empty())
    fault("a test with one argument got {}", args.positional.size());
  return args.positional[0];
}

std::int64_t integer(const Value& v) {
  if (!v.as_int()) fault("expected an integer, not {}", v.type_name());
  return *v.as_int();
}

const std::map<std::string_view, Test>& tests() {
  static const auto equal = [](const Value& v, const Args& a, Budget& b) { return equals(v, only(a), b); };
  static const auto unequal = [](const Value& v, const Args& a, Budget& b) { return !equals(v, only(a), b); };
  static const auto lt = [](const Value& v, const Args& a, Budget& b) { return less(v, only(a), b); };
  static const auto gt = [](const Value& v, const Args& a, Budget& b) { return less(only(a), v, b); };
  static const auto le = [](const Value& v, const Args& a, Budget& b) {
    return less(v, only(a), b) || equals(v, only(a), b);
  };
  static const auto ge = [](const Value& v, const Args& a, Budget& b) {
    return less(only(a), v, b) || equals(v, only(a), b);
  };
  static const auto same = [](const Value& v, const Args& a, Budget& b) {
    return v.rep().index() == only(a).rep().index() && equals(v, only(a), b);
  };
  static const std::map<std::string_view, Test> kTests = {
      {"defined", [](const Value& v, const Args&, Budget&) { return !v.is_undefined(); }},
      {"undefined", [](const Value& v, const Args&, Budget&) { return v.is_undefined(); }},
      {"none", [](const Value& v, const Args&, Budget&) { return v.is_none(); }},
      {"true", [](const Value& v, const Args&, Budget&) { return v.is<bool>() && truthy(v); }},
      {"false", [](const Value& v, const Args&, Budget&) { return v.is<bool>() && !truthy(v); }},
      {"boolean", [](const Value& v, const Args&, Budget&) { return v.is<bool>(); }},
      {"string", [](const Value& v, const Args&, Budget&) { return v.str() != nullptr; }},
      {"mapping", [](const Value& v, const Args&, Budget&) { return v.dict() != nullptr; }},
      {"number", [](const Value& v, const Args&, Budget&) { return v.is_number(); }},
      {"integer", [](const Value& v, const Args&, Budget&) { return v.is<std::int64_t>(); }},
      {"float", [](const Value& v, const Args&, Budget&) { return v.is<double>(); }},
      {"callable", [](const Value& v, const Args&, Budget&) { return v.is<CallableRef>(); }},
      {"iterable",
       [](const Value& v, const Args&, Budget&) {
         return v.is_undefined() || v.str() != nullptr || v.list() != nullptr || v.dict() != nullptr ||
                v.is<LoopState*>();
       }},
      {"sequence",
       [](const Value& v, const Args&, Budget&) {
         return v.is_undefined() || v.str() != nullptr || v.list() != nullptr || v.dict() != nullptr;
       }},
      {"in", [](const Value& v, const Args& a, Budget& b) { return contains(only(a), v, b); }},
      {"odd", [](const Value& v, const Args&, Budget&) { return integer(v) % 2 != 0; }},
      {"even", [](const Value& v, const Args&, Budget&) { return integer(v) % 2 == 0; }},
      {"divisibleby",
       [](const Value& v, const Args& a, Budget&) {
         const std::int64_t by = integer(only(a));
         if (by == 0) fault("integer modulo by zero");
         return by == -1 || integer(v) % by == 0;
       }},
      {"lower",
       [](const Value& v, const Args&, Budget& b) {
         const std::string s = to_str(v, b);
         return lower(s) == s && upper(s) != s;
       }},
      {"upper",
       [](const Value& v, const Args&, Budget& b) {
         const std::string s = to_str(v, b);
         return upper(s) == s && lower(s) != s;
       }},
      {"sameas", same},
      {"equalto", equal},
      {"eq", equal},
      {"==", equal},
      {"ne", unequal},
      {"!=", unequal},
      {"lt", lt},
      {"lessthan", lt},
      {"<", lt},
      {"gt", gt},
      {"greaterthan", gt},
      {">", gt},
      {"le", le},
      {"<=", le},
      {"ge", ge},
      {">=", ge},
  };
  return kTests;
}

}  // namespace

bool apply_test(std::string_view name, const Value& input, const Args& args, Budget& budget) {
  budget.step();
  const auto it = tests().find(name);
  if (it == tests().end()) fault("the chat template uses an unknown test '{}'", name);
  return it->second(input, args, budget);
}

}  // namespace sluice::text::jinja
