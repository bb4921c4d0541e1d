// Jinja's tests: x is NAME.
#include <map>

#include "text/jinja/builtins.h"
#include "text/jinja/compare.h"
#include "text/jinja/iterate.h"
#include "text/jinja/operators.h"
#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

const Value& only(const Args& args) {
  if (args.positional.size() != 1 || !args.keyword.empty())
    fault("a test with one argument got {}", args.positional.size() + args.keyword.size());
  return args.positional[0];
}

template <class T>
bool is_a(const Value& v, const Args&, Budget&) {
  return v.is<T>();
}

template <CompareOp op>
bool compared(const Value& v, const Args& a, Budget& b) {
  return compare(op, v, only(a), b);
}

template <int rest>
bool parity(const Value& v, const Args&, Budget& b) {
  return equals(arithmetic(BinaryOp::modulo, v, Value::integer(2), b), Value::integer(rest), b);
}

bool same(const Value& v, const Args& a, Budget& b) {
  const Value& other = only(a);
  if (v.rep().index() != other.rep().index()) return false;
  if (v.list() != nullptr) return v.list() == other.list();
  if (v.dict() != nullptr) return v.dict() == other.dict();
  return equals(v, other, b);
}

bool callable(const Value& v, const Args&, Budget&) {
  return v.is<CallableRef>() || v.is<LoopState*>() || v.is_undefined();
}

bool sequence(const Value& v, const Args&, Budget&) {
  return v.is_undefined() || v.str() != nullptr || v.list() != nullptr || v.dict() != nullptr;
}

template <bool (*F)(std::string_view)>
bool in_case(const Value& v, const Args&, Budget& b) {
  return F(to_text(v, b).bytes);
}

template <bool exists(std::string_view)>
bool named(const Value& v, const Args&, Budget&) {
  return v.str() != nullptr && exists(v.str()->bytes);
}

bool filter_exists(std::string_view name) { return find_filter(name) != nullptr; }
bool test_exists(std::string_view name) { return find_test(name) != nullptr; }

}  // namespace

Test find_test(std::string_view name) {
  static const std::map<std::string_view, Test> kTests = {
      {"defined", [](const Value& v, const Args&, Budget&) { return !v.is_undefined(); }},
      {"undefined", is_a<Undefined>},
      {"none", is_a<None>},
      {"true", [](const Value& v, const Args&, Budget&) { return v.is<bool>() && truthy(v); }},
      {"false", [](const Value& v, const Args&, Budget&) { return v.is<bool>() && !truthy(v); }},
      {"boolean", is_a<bool>},
      {"string", is_a<Str>},
      {"mapping", is_a<DictRef>},
      {"number", [](const Value& v, const Args&, Budget&) { return v.is_number(); }},
      {"integer", [](const Value& v, const Args&, Budget&) { return v.is_integral() && !v.is<bool>(); }},
      {"float", is_a<double>},
      {"callable", callable},
      {"iterable", [](const Value& v, const Args&, Budget&) { return iterable(v) || v.is<LoopState*>(); }},
      {"sequence", sequence},
      {"escaped", [](const Value& v, const Args&, Budget&) { return v.is_markup(); }},
      {"filter", named<filter_exists>},
      {"test", named<test_exists>},
      {"in", [](const Value& v, const Args& a, Budget& b) { return contains(only(a), v, b); }},
      {"odd", parity<1>},
      {"even", parity<0>},
      {"divisibleby",
       [](const Value& v, const Args& a, Budget& b) {
         const Args by = a.keyword.size() == 1 && a.keyword[0].first == "num" ? Args{{a.keyword[0].second}} : a;
         return equals(arithmetic(BinaryOp::modulo, v, only(by), b), Value::integer(0), b);
       }},
      {"lower", in_case<is_lower>},
      {"upper", in_case<is_upper>},
      {"sameas", same},
      {"equalto", compared<CompareOp::eq>},
      {"eq", compared<CompareOp::eq>},
      {"==", compared<CompareOp::eq>},
      {"ne", compared<CompareOp::ne>},
      {"!=", compared<CompareOp::ne>},
      {"lt", compared<CompareOp::lt>},
      {"lessthan", compared<CompareOp::lt>},
      {"<", compared<CompareOp::lt>},
      {"gt", compared<CompareOp::gt>},
      {"greaterthan", compared<CompareOp::gt>},
      {">", compared<CompareOp::gt>},
      {"le", compared<CompareOp::le>},
      {"<=", compared<CompareOp::le>},
      {"ge", compared<CompareOp::ge>},
      {">=", compared<CompareOp::ge>},
  };
  const auto it = kTests.find(name);
  return it == kTests.end() ? nullptr : it->second;
}

}  // namespace sluice::text::jinja
