#include "text/jinja/operators.h"

#include <cmath>

namespace sluice::text::jinja {

namespace {

[[noreturn]] void overflow() { fault("an integer beyond 64 bits"); }

void refuse_undefined(const Value& v) {
  if (const auto* u = v.get<Undefined>()) fault("'{}' is undefined", u->name ? *u->name : "value");
}

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
      return "**";
    default:
      return "?";
  }
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  if (b == -1 && a == INT64_MIN) overflow();
  const std::int64_t q = a / b;
  return a % b != 0 && (a % b < 0) != (b < 0) ? q - 1 : q;
}

std::int64_t floor_mod(std::int64_t a, std::int64_t b) {
  if (b == -1) return 0;
  const std::int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

double floor_mod(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

Value int_power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) return Value::real(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  if (base == 0 || base == 1) return Value::integer(exponent == 0 ? 1 : base);
  if (base == -1) return Value::integer(exponent % 2 == 0 ? 1 : -1);
  std::int64_t out = 1;
  for (std::int64_t i = 0; i < exponent; ++i)  // at most 63 rounds before it overflows
    if (__builtin_mul_overflow(out, base, &out)) overflow();
  return Value::integer(out);
}

Value integers(BinaryOp op, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  switch (op) {
    case BinaryOp::add:
      if (__builtin_add_overflow(a, b, &out)) overflow();
      return Value::integer(out);
    case BinaryOp::subtract:
      if (__builtin_sub_overflow(a, b, &out)) overflow();
      return Value::integer(out);
    case BinaryOp::multiply:
      if (__builtin_mul_overflow(a, b, &out)) overflow();
      return Value::integer(out);
    case BinaryOp::power:
      return int_power(a, b);
    default:
      break;
  }
  if (b == 0) fault("division by zero");
  if (op == BinaryOp::divide) return Value::real(static_cast<double>(a) / static_cast<double>(b));
  return Value::integer(op == BinaryOp::floor_divide ? floor_div(a, b) : floor_mod(a, b));
}

Value reals(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::add:
      return Value::real(a + b);
    case BinaryOp::subtract:
      return Value::real(a - b);
    case BinaryOp::multiply:
      return Value::real(a * b);
    case BinaryOp::power:
      return Value::real(std::pow(a, b));
    default:
      break;
  }
  if (b == 0) fault("division by zero");
  if (op == BinaryOp::divide) return Value::real(a / b);
  return Value::real(op == BinaryOp::floor_divide ? std::floor(a / b) : floor_mod(a, b));
}

Value repeat(const Value& v, std::int64_t times, Budget& budget) {
  const std::size_t n = times > 0 ? static_cast<std::size_t>(times) : 0;
  if (const std::string* s = v.str()) {
    std::string out;
    for (std::size_t i = 0; i < n && !s->empty(); ++i) {
      budget.memory(s->size());
      out += *s;
    }
    return Value::string(std::move(out), budget);
  }
  std::vector<Value> out;
  const auto& items = v.list()->items;
  for (std::size_t i = 0; i < n && !items.empty(); ++i) {
    budget.memory(items.size() * sizeof(Value));
    out.insert(out.end(), items.begin(), items.end());
  }
  return Value::list(std::move(out), budget, v.list()->tuple);
}

bool repeatable(const Value& v) { return v.str() != nullptr || v.list() != nullptr; }

}  // namespace

Value arithmetic(BinaryOp op, const Value& a, const Value& b, Budget& budget) {
  if (a.as_int() && b.as_int()) return integers(op, *a.as_int(), *b.as_int());
  if (a.is_number() && b.is_number()) return reals(op, *a.as_double(), *b.as_double());
  refuse_undefined(a);
  refuse_undefined(b);
  if (op == BinaryOp::add && a.str() != nullptr && b.str() != nullptr) {
    budget.memory(a.str()->size() + b.str()->size());
    return Value::string(*a.str() + *b.str(), budget);
  }
  if (op == BinaryOp::add && a.list() != nullptr && b.list() != nullptr && a.list()->tuple == b.list()->tuple) {
    std::vector<Value> out = iterate(a, budget);
    const std::vector<Value> more = iterate(b, budget);
    out.insert(out.end(), more.begin(), more.end());
    return Value::list(std::move(out), budget, a.list()->tuple);
  }
  if (op == BinaryOp::multiply && repeatable(a) && b.as_int()) return repeat(a, *b.as_int(), budget);
  if (op == BinaryOp::multiply && repeatable(b) && a.as_int()) return repeat(b, *a.as_int(), budget);
  fault("unsupported operand types for {}: '{}' and '{}'", symbol(op), a.type_name(), b.type_name());
}

Value unary(UnaryOp op, const Value& v) {
  if (op == UnaryOp::not_) return Value::boolean(!truthy(v));
  refuse_undefined(v);
  if (!v.is_number()) fault("bad operand type for a sign: '{}'", v.type_name());
  if (op == UnaryOp::plus) return v.as_int() ? Value::integer(*v.as_int()) : v;
  if (!v.as_int()) return Value::real(-*v.as_double());
  return integers(BinaryOp::subtract, 0, *v.as_int());
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
    default:
      break;
  }
  refuse_undefined(a);
  refuse_undefined(b);
  switch (op) {
    case CompareOp::lt:
      return less(a, b, budget);
    case CompareOp::gt:
      return less(b, a, budget);
    case CompareOp::le:
      return less(a, b, budget) || equals(a, b, budget);
    default:
      return less(b, a, budget) || equals(a, b, budget);
  }
}

}  // namespace sluice::text::jinja
