#include "text/jinja/operators.h"

#include <cmath>

#include "text/jinja/compare.h"
#include "text/jinja/format.h"
#include "text/jinja/iterate.h"
#include "text/jinja/number.h"
#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

std::string_view symbol(BinaryOp op) {
  switch (op) {
    case BinaryOp::add:
      return "+";
    case BinaryOp::subtract:
      return "-";
    case BinaryOp::multiply:
      return "*";
    case BinaryOp::divide:
      return "/";
    case BinaryOp::floor_divide:
      return "//";
    case BinaryOp::modulo:
      return "%";
    case BinaryOp::power:
      return "** or pow()";
    default:
      return "?";
  }
}

// --- integers ---------------------------------------------------------------------------------------------------

Integer floor_div(const Integer& a, const Integer& b) {
  Integer q = a / b;
  if (a % b != 0 && (a < 0) != (b < 0)) --q;
  return q;
}

Value real_power(double a, double b) {
  if (a == 0 && b < 0) fault("0.0 cannot be raised to a negative power");
  const double r = std::pow(a, b);
  if (std::isnan(r) && !std::isnan(a) && !std::isnan(b)) fault("a power that is a complex number");
  if (std::isinf(r) && std::isfinite(a) && std::isfinite(b)) fault("(34, 'Numerical result out of range')");
  return Value::real(r);
}

Value integer_power(const Integer& base, const Integer& exponent, Budget& budget) {
  if (exponent < 0) return real_power(to_double(base), to_double(exponent));
  if (base == 0 || base == 1) return Value::integer(exponent == 0 || base == 1 ? 1 : 0);
  if (base == -1) return Value::integer(exponent % 2 == 0 ? 1 : -1);
  const std::size_t bits = msb(Integer(abs(base)));
  if (exponent > 20'000 || exponent * std::max<std::size_t>(bits, 1) > 20'000)
    fault("an integer of more than {} digits", kMaxDigits);
  return integer_value(Integer(pow(base, exponent.convert_to<unsigned>())), budget);
}

std::optional<Value> small(BinaryOp op, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  switch (op) {
    case BinaryOp::add:
      if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
      return Value::integer(out);
    case BinaryOp::subtract:
      if (__builtin_sub_overflow(a, b, &out)) return std::nullopt;
      return Value::integer(out);
    case BinaryOp::multiply:
      if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
      return Value::integer(out);
    default:
      return std::nullopt;
  }
}

Value integers(BinaryOp op, const Value& x, const Value& y, Budget& budget) {
  if (x.as_int() && y.as_int())
    if (auto v = small(op, *x.as_int(), *y.as_int())) return *std::move(v);
  const Integer a = to_integer(x);
  const Integer b = to_integer(y);
  if (x.is<BigRef>() || y.is<BigRef>()) budget.step(500);
  switch (op) {
    case BinaryOp::add:
      return integer_value(Integer(a + b), budget);
    case BinaryOp::subtract:
      return integer_value(Integer(a - b), budget);
    case BinaryOp::multiply:
      return integer_value(Integer(a * b), budget);
    case BinaryOp::power:
      return integer_power(a, b, budget);
    default:
      break;
  }
  if (b == 0)
    fault("{}", op == BinaryOp::divide   ? "division by zero"
                : op == BinaryOp::modulo ? "integer modulo by zero"
                                         : "integer division or modulo by zero");
  if (op == BinaryOp::divide) {
    const double q = divide(a, b);
    if (std::isinf(q)) fault("integer division result too large for a float");
    return Value::real(q);
  }
  const Integer q = floor_div(a, b);
  return integer_value(op == BinaryOp::floor_divide ? q : Integer(a - q * b), budget);
}

// --- floats -----------------------------------------------------------------------------------------------------

Value real_division(BinaryOp op, double a, double b) {
  if (b == 0)
    fault("{}", op == BinaryOp::divide   ? "float division by zero"
                : op == BinaryOp::modulo ? "float modulo"
                                         : "float floor division by zero");
  if (op == BinaryOp::divide) return Value::real(a / b);
  double mod = std::fmod(a, b);
  double div = (a - mod) / b;
  if (mod == 0) {
    mod = std::copysign(0.0, b);
  } else if ((b < 0) != (mod < 0)) {
    mod += b;
    div -= 1;
  }
  if (op == BinaryOp::modulo) return Value::real(mod);
  if (div == 0) return Value::real(std::copysign(0.0, a / b));
  const double floor = std::floor(div);
  return Value::real(div - floor > 0.5 ? floor + 1 : floor);
}

Value reals(BinaryOp op, const Value& x, const Value& y) {
  const double a = *x.as_double();
  const double b = *y.as_double();
  if ((std::isinf(a) && x.is<BigRef>()) || (std::isinf(b) && y.is<BigRef>()))
    fault("int too large to convert to float");
  switch (op) {
    case BinaryOp::add:
      return Value::real(a + b);
    case BinaryOp::subtract:
      return Value::real(a - b);
    case BinaryOp::multiply:
      return Value::real(a * b);
    case BinaryOp::power:
      return real_power(a, b);
    default:
      return real_division(op, a, b);
  }
}

// --- texts and lists --------------------------------------------------------------------------------------------

Value repeat(const Value& v, const Value& times, Budget& budget) {
  if (!times.as_int()) fault("cannot fit 'int' into an index-sized integer");
  const std::size_t n = *times.as_int() > 0 ? static_cast<std::size_t>(*times.as_int()) : 0;
  if (const Text* s = v.str()) {
    TextBuilder out(budget);
    out.repeat(*s, n);
    Text t = out.take();
    t.markup = s->markup;
    return Value::string(std::move(t), budget);
  }
  const auto& items = v.list()->items;
  budget.memory(n, items.size() * sizeof(Value));
  std::vector<Value> out;
  for (std::size_t i = 0; i < n && !items.empty(); ++i) out.insert(out.end(), items.begin(), items.end());
  return Value::list(std::move(out), budget, v.list()->kind == ListKind::list ? ListKind::list : ListKind::tuple);
}

bool repeatable(const Value& v) {
  return v.str() != nullptr || (v.list() != nullptr && v.list()->kind != ListKind::range);
}

Value join_texts(const Value& a, const Value& b, Budget& budget) {
  const bool markup = a.is_markup() || b.is_markup();
  TextBuilder out(budget);
  for (const Value* v : {&a, &b}) {
    if (markup)
      out.add(escape(*v->str(), budget));
    else
      out.add(*v->str());
  }
  Text t = out.take();
  t.markup = markup;
  return Value::string(std::move(t), budget);
}

Value join_lists(const Value& a, const Value& b, Budget& budget) {
  std::vector<Value> out = iterate(a, budget);
  budget.memory(b.list()->items.size() * sizeof(Value));
  out.insert(out.end(), b.list()->items.begin(), b.list()->items.end());
  return Value::list(std::move(out), budget, a.is_tuple() ? ListKind::tuple : ListKind::list);
}

[[noreturn]] void refuse(BinaryOp op, const Value& a, const Value& b) {
  if (op == BinaryOp::add && (a.str() != nullptr || a.list() != nullptr))
    fault("can only concatenate {} (not \"{}\") to {}", a.type_name(), b.type_name(), a.type_name());
  if (op == BinaryOp::multiply && (repeatable(a) || repeatable(b)))
    fault("can't multiply sequence by non-int of type '{}'", (repeatable(a) ? b : a).type_name());
  fault("unsupported operand type(s) for {}: '{}' and '{}'", symbol(op), a.type_name(), b.type_name());
}

}  // namespace

Value arithmetic(BinaryOp op, const Value& a, const Value& b, Budget& budget) {
  if (a.is_integral() && b.is_integral()) return integers(op, a, b, budget);
  if (a.is_number() && b.is_number()) return reals(op, a, b);
  if (op == BinaryOp::modulo && a.str() != nullptr) return Value::string(percent_format(*a.str(), b, budget), budget);
  refuse_undefined(a);
  refuse_undefined(b);
  if (op == BinaryOp::add && a.str() != nullptr && b.str() != nullptr) return join_texts(a, b, budget);
  if (op == BinaryOp::add && repeatable(a) && repeatable(b) && a.str() == nullptr && b.str() == nullptr &&
      a.is_tuple() == b.is_tuple())
    return join_lists(a, b, budget);
  if (op == BinaryOp::multiply && repeatable(a) && b.is_integral()) return repeat(a, b, budget);
  if (op == BinaryOp::multiply && repeatable(b) && a.is_integral()) return repeat(b, a, budget);
  refuse(op, a, b);
}

Value unary(UnaryOp op, const Value& v, Budget& budget) {
  if (op == UnaryOp::not_) return Value::boolean(!truthy(v));
  refuse_undefined(v);
  if (!v.is_number()) fault("bad operand type for unary {}: '{}'", op == UnaryOp::plus ? '+' : '-', v.type_name());
  if (v.is<double>()) return Value::real(op == UnaryOp::plus ? *v.get<double>() : -*v.get<double>());
  return integers(op == UnaryOp::plus ? BinaryOp::add : BinaryOp::subtract, Value::integer(0), v, budget);
}

bool compare(CompareOp op, const Value& a, const Value& b, Budget& budget) {
  switch (op) {
    case CompareOp::eq:
      return equals(a, b, budget);
    case CompareOp::ne:
      return !equals(a, b, budget);
    case CompareOp::in:
      return contains(b, a, budget);
    case CompareOp::not_in:
      return !contains(b, a, budget);
    case CompareOp::lt:
      return less(a, b, budget);
    case CompareOp::gt:
      return less(b, a, budget, ">");
    case CompareOp::le:
      return less(a, b, budget, "<=") || equals(a, b, budget);
    case CompareOp::ge:
      return less(b, a, budget, ">=") || equals(a, b, budget);
  }
  return false;
}

}  // namespace sluice::text::jinja
