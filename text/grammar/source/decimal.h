#pragma once
// Decimal numbers of any length, as a schema's bounds are: never rounded on the way into a grammar.
#include <nlohmann/json.hpp>

#include <compare>
#include <string>

namespace sluice::text::grammar {

struct Decimal {
  bool negative = false;
  std::string whole = "0";  // no leading zeros
  std::string fraction{};   // no trailing zeros

  /// Of a JSON number. A double is taken as the shortest decimal that reads back as it: what its writer wrote.
  [[nodiscard]] static Decimal of(const nlohmann::ordered_json& number);
  [[nodiscard]] bool zero() const { return whole == "0" && fraction.empty(); }
  [[nodiscard]] Decimal magnitude() const { return {false, whole, fraction}; }
  [[nodiscard]] std::strong_ordering operator<=>(const Decimal& other) const;
  bool operator==(const Decimal&) const = default;
};

}  // namespace sluice::text::grammar
