#pragma once
// JSON numbers within bounds, exactly: digits are compared as they come, so bounds may have any length.
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "text/grammar/source/decimal.h"
#include "text/grammar/source/spelling.h"

namespace sluice::text::grammar {

struct NumberBounds {
  struct Bound {
    Decimal value;
    bool exclusive = false;
  };
  bool integer = false;
  std::optional<Bound> low, high;
  std::vector<Decimal> multiples_of{};

  /// Tightens a bound.
  void at_least(Decimal value, bool exclusive);
  void at_most(Decimal value, bool exclusive);
  [[nodiscard]] bool holds(const Decimal& value) const;
};

/// Integers are written without a fraction and exponent. So are other numbers that are bounded or multiples, but for a
/// fraction: of at most so many digits that a double does not round the number onto or over a bound. Fails where a
/// multiple is too large for an automaton.
[[nodiscard]] Result<NodeIndex> add_number(Grammar& grammar, const NumberBounds& bounds);

}  // namespace sluice::text::grammar
