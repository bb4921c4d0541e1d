// Filters that make or change numbers.
#include <array>
#include <cmath>

#include "text/jinja/builtins.h"
#include "text/jinja/format.h"
#include "text/jinja/number.h"

namespace sluice::text::jinja {

namespace {

/// float(v); null where Python has a TypeError or ValueError.
std::optional<double> real_of(const Value& v, Budget& b) {
  refuse_undefined(v);
  if (v.str() != nullptr) return parse_float(v.str()->bytes, b);
  const auto d = v.as_double();
  if (d && std::isinf(*d) && v.is<BigRef>()) fault("int too large to convert to float");
  return d;
}

Value to_int(const Value& v, const Args& args, Budget& b) {
  const Params p("int", args, {"default", "base"});
  refuse_undefined(v);
  if (v.is_integral()) return integer_value(to_integer(v), b);
  if (v.is<double>() && std::isinf(*v.get<double>())) fault("cannot convert float infinity to integer");
  const std::int64_t base = p.integer(1, 10);
  if (v.str() != nullptr && (base == 0 || (base >= 2 && base <= 36)))
    if (const auto i = parse_integer(v.str()->bytes, static_cast<int>(base), b)) return *i;
  const auto d = real_of(v, b);
  if (d && std::isfinite(*d)) return integer_of(*d, b);
  return p.get(0) != nullptr ? *p.get(0) : Value::integer(0);
}

Value to_float(const Value& v, const Args& args, Budget& b) {
  const Params p("float", args, {"default"});
  if (const auto d = real_of(v, b)) return Value::real(*d);
  return p.get(0) != nullptr ? *p.get(0) : Value::real(0);
}

Value absolute(const Value& v, const Args&, Budget& b) {
  if (v.is_integral()) return integer_value(Integer(abs(to_integer(v))), b);
  if (!v.is<double>()) fault("bad operand type for abs(): '{}'", v.type_name());
  return Value::real(std::abs(*v.get<double>()));
}

/// round(n, digits) of an integer: to a multiple of 10 ** -digits, ties to the even one.
Value round_integer(const Integer& n, std::int64_t digits, Budget& b) {
  if (digits >= 0) return integer_value(n, b);
  if (digits < -5000) return Value::integer(0);
  const Integer unit(pow(Integer(10), static_cast<unsigned>(-digits)));
  const Integer whole(abs(n));
  Integer q = whole / unit;
  const Integer twice((whole - q * unit) * 2);
  if (twice > unit || (twice == unit && q % 2 != 0)) ++q;
  q *= unit;
  return integer_value(n < 0 ? Integer(-q) : q, b);
}

/// ceil or floor of value * 10 ** precision, brought back: always a float.
Value round_one_way(const Value& v, std::int64_t precision, bool up, Budget& b) {
  if (precision < -308 || precision > 308) fault("round() takes a precision of at most 308 digits");
  if (v.is_integral() && precision >= 0) {
    const Integer unit(pow(Integer(10), static_cast<unsigned>(precision)));
    b.step(100);
    return Value::real(divide(Integer(to_integer(v) * unit), unit));
  }
  const double unit = std::pow(10.0, static_cast<double>(precision));
  const double scaled = *v.as_double() * unit;
  if (!std::isfinite(scaled)) fault("cannot convert float {} to integer", std::isnan(scaled) ? "NaN" : "infinity");
  return Value::real(((up ? std::ceil(scaled) : std::floor(scaled)) + 0.0) / unit);  // of an int there is no -0
}

Value round_to(const Value& v, const Args& args, Budget& b) {
  const Params p("round", args, {"precision", "method"});
  const std::string method = p.get(1) != nullptr ? p.need_text(1).bytes : "common";
  if (method != "common" && method != "ceil" && method != "floor") fault("method must be common, ceil or floor");
  if (!v.is_number()) fault("type {} doesn't define __round__ method", v.type_name());
  const bool bare = p.get(0) != nullptr && p.get(0)->is_none();
  const std::int64_t precision = bare ? 0 : p.integer(0, 0);
  if (method != "common") return round_one_way(v, precision, method == "ceil", b);
  if (v.is_integral()) return round_integer(to_integer(v), precision, b);
  const double d = *v.get<double>();
  if (bare && !std::isfinite(d)) fault("cannot convert float to integer");
  const double rounded = round_float(d, precision);
  return bare ? integer_of(rounded, b) : Value::real(rounded);
}

Value filesizeformat(const Value& v, const Args& args, Budget& b) {
  const Params p("filesizeformat", args, {"binary"});
  const auto bytes = real_of(v, b);
  if (!bytes) fault("could not convert {} to float", repr(v, b).bytes);
  const bool binary = p.flag(0, false);
  const double base = binary ? 1024 : 1000;
  if (*bytes == 1) return Value::string("1 Byte", b);
  if (*bytes < base) return Value::string(fmt::format("{} Bytes", integer_text(integer_of(*bytes, b))), b);
  constexpr std::array<std::string_view, 8> kDecimal = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  constexpr std::array<std::string_view, 8> kBinary = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
  double unit = base;
  std::size_t i = 0;
  for (; i < kDecimal.size(); ++i) {
    unit *= base;
    if (*bytes < unit) break;
  }
  i = std::min(i, kDecimal.size() - 1);
  return Value::string(
      fmt::format("{} {}", format_float(base * *bytes / unit, 'f', 1, false), (binary ? kBinary : kDecimal)[i]), b);
}

}  // namespace

const Filters& number_filters() {
  static const Filters kFilters = {
      {"abs", absolute}, {"filesizeformat", filesizeformat}, {"float", to_float}, {"int", to_int}, {"round", round_to},
  };
  return kFilters;
}

}  // namespace sluice::text::jinja
