#include "text/grammar/source/decimal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace sluice::text::grammar {

Decimal Decimal::of(const nlohmann::ordered_json& number) {
  Decimal out;
  auto text = number.is_number_unsigned()  ? fmt::format("{}", number.get<std::uint64_t>())
              : number.is_number_integer() ? fmt::format("{}", number.get<std::int64_t>())
                                           : std::string();
  if (number.is_number_float()) {
    // Digits and exponent of the shortest form: d.ddde+xx.
    std::array<char, 64> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number.get<double>(),
                                   std::chars_format::scientific);
    text.assign(buffer.data(), end.ptr);
  }
  if (text.starts_with('-')) {
    out.negative = true;
    text.erase(0, 1);
  }
  int exponent = 0;
  if (const auto e = text.find('e'); e != std::string::npos) {
    const auto* from = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
    std::from_chars(from, text.data() + text.size(), exponent);
    text.resize(e);
  }
  auto point = static_cast<int>(text.size());
  if (const auto dot = text.find('.'); dot != std::string::npos) {
    point = static_cast<int>(dot);
    text.erase(dot, 1);
  }
  point += exponent;
  if (point <= 0) {
    text.insert(0, static_cast<std::size_t>(1 - point), '0');
    point = 1;
  }
  if (static_cast<std::size_t>(point) > text.size()) text.append(static_cast<std::size_t>(point) - text.size(), '0');
  out.whole = text.substr(0, static_cast<std::size_t>(point));
  out.fraction = text.substr(static_cast<std::size_t>(point));
  out.whole.erase(0, std::min(out.whole.find_first_not_of('0'), out.whole.size() - 1));
  while (out.fraction.ends_with('0')) out.fraction.pop_back();
  if (out.zero()) out.negative = false;
  return out;
}

std::strong_ordering Decimal::operator<=>(const Decimal& other) const {
  if (negative != other.negative) return negative ? std::strong_ordering::less : std::strong_ordering::greater;
  const auto& a = negative ? other : *this;
  const auto& b = negative ? *this : other;
  if (a.whole.size() != b.whole.size()) return a.whole.size() <=> b.whole.size();
  if (const auto c = a.whole.compare(b.whole); c != 0) return c <=> 0;
  return a.fraction.compare(b.fraction) <=> 0;
}

}  // namespace sluice::text::grammar
