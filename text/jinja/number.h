#pragma once
// Python's numbers: integers of any size (to a bound that is said), floats, and their text.
#include <boost/multiprecision/cpp_int.hpp>

#include "text/jinja/value.h"

namespace sluice::text::jinja {

using Integer = boost::multiprecision::cpp_int;
struct BigInt {
  Integer n;
};

/// Beyond it Python itself refuses to print an integer.
inline constexpr std::size_t kMaxDigits = 4300;

/// Small where 64 bits hold it. Faults beyond kMaxDigits.
[[nodiscard]] Value integer_value(const Integer& n, Budget& budget);
/// Of an int or a bool.
[[nodiscard]] Integer to_integer(const Value& v);
[[nodiscard]] std::string integer_text(const Value& v);
/// Digits in `base` of 2 to 36, without sign or prefix.
[[nodiscard]] std::string integer_digits(const Integer& n, unsigned base);
/// To the nearest double; infinite beyond.
[[nodiscard]] double to_double(const Integer& n);
/// a / b to the nearest double, b not 0.
[[nodiscard]] double divide(const Integer& a, const Integer& b);
/// int(x) of a finite float.
[[nodiscard]] Value integer_of(double d, Budget& budget);

/// int(s, base): spaces around, a sign, underscores between digits, 0x and such where the base allows; null if it is
/// no integer. Base 0 goes by the prefix.
[[nodiscard]] std::optional<Value> parse_integer(std::string_view s, int base, Budget& budget);
/// float(s); also "inf" and "nan".
[[nodiscard]] std::optional<double> parse_float(std::string_view s, Budget& budget);

/// repr() of a float: the shortest digits that read back, as Python lays them out.
[[nodiscard]] std::string float_repr(double d);
/// round(x, digits) of a float: to the nearest decimal of its exact value, ties to even.
[[nodiscard]] double round_float(double d, std::int64_t digits);

}  // namespace sluice::text::jinja
