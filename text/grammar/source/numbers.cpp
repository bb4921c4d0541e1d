#include "text/grammar/source/numbers.h"

#include <algorithm>
#include <array>
#include <compare>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "text/grammar/source/dfa.h"

namespace sluice::text::grammar {
namespace {

constexpr std::uint32_t kMaxModulus = 10'000;
enum class Order : std::uint8_t { less, same, more };

/// All of what must divide the number, as one: the number times 10^scale is a multiple of `modulus`.
struct Divisor {
  std::uint32_t modulus = 1;
  std::uint32_t scale = 0;

  static Result<Divisor> of(const std::vector<Decimal>& multiples) {
    Divisor out;
    for (const auto& m : multiples) out.scale = std::max(out.scale, static_cast<std::uint32_t>(m.fraction.size()));
    for (const auto& m : multiples) {
      auto digits = m.whole + m.fraction;
      digits.append(out.scale - m.fraction.size(), '0');
      digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
      if (out.scale > 12 || digits.size() > 9)
        return fail(Errc::unsupported, "a multiple of a number of this many digits is not supported");
      const auto value = static_cast<std::uint64_t>(std::stoul(digits));
      const auto both = std::lcm<std::uint64_t>(out.modulus, value);
      if (both > kMaxModulus)
        return fail(Errc::unsupported, "multiples of numbers above {} are not supported", kMaxModulus);
      out.modulus = static_cast<std::uint32_t>(both);
    }
    return out;
  }

  [[nodiscard]] bool divides(std::uint32_t remainder, std::uint32_t fraction_digits) const {
    std::uint64_t value = remainder;
    for (auto i = fraction_digits; i < scale; ++i) value = value * 10 % modulus;
    return value % modulus == 0;
  }
};

/// What is known of a number's digits so far.
struct Digits {
  enum class Phase : std::uint8_t { start, minus, zero, whole, point, fraction };
  Phase phase = Phase::start;
  bool negative = false;
  std::uint32_t whole = 0;                      // digits before the point, up to one more than any bound has
  std::uint32_t fraction = 0;                   // and after it
  Order low = Order::same, high = Order::same;  // the magnitude's digits against those of the bounds
  std::uint32_t remainder = 0;

  auto operator<=>(const Digits&) const = default;
};

class NumberAutomaton {
 public:
  NumberAutomaton(const NumberBounds& b, Divisor divisor) : bounds_(b), divisor_(divisor), dfa_(classes()) {
    // Of magnitudes: between zero and the bounds of that sign.
    positive_ = {b.low && !b.low->value.negative ? b.low : std::nullopt, b.high};
    const auto mirrored = [](const auto& bound) {
      return NumberBounds::Bound{bound->value.magnitude(), bound->exclusive};
    };
    negative_.low = NumberBounds::Bound{Decimal{}, true};
    if (b.high && b.high->value.negative) negative_.low = mirrored(b.high);
    if (b.low && b.low->value.negative) negative_.high = mirrored(b.low);
    may_be_positive_ = !b.high || !b.high->value.negative;
    may_be_negative_ = !b.low || b.low->value.negative;
    std::size_t whole = 1, fraction = 1;
    for (const auto& bound : {b.low, b.high}) {
      if (!bound) continue;
      whole = std::max(whole, bound->value.whole.size());
      fraction = std::max(fraction, bound->value.fraction.size());
    }
    constexpr std::size_t kDoubleDigits = 15;
    most_whole_ = static_cast<std::uint32_t>(whole + 1);
    most_fraction_ = static_cast<std::uint32_t>(std::max(fraction + 1, kDoubleDigits - std::min(whole, kDoubleDigits)));
    if (divisor_.modulus != 1 || divisor_.scale != 0) most_fraction_ = divisor_.scale;
  }

  Result<Dfa> run() {
    state({});
    for (std::size_t s = 0; s < order_.size(); ++s) {
      if (order_.size() > 4 * Dfa::kMaxStates)
        return fail(Errc::unsupported, "multiples within such wide bounds are not supported");
      const auto from = order_[s]->first;
      for (std::uint32_t c = 0; c < 12; ++c) {
        const auto to = c < 10 ? digit(from, c) : c == 10 ? minus(from) : point(from);
        if (!to) continue;
        const auto target = state(*to);
        dfa_.set_next(static_cast<Dfa::State>(s), c, target);
      }
    }
    return std::move(dfa_);
  }

 private:
  struct Interval {
    std::optional<NumberBounds::Bound> low, high;
  };

  static std::vector<CodePointSet> classes() {
    std::vector<CodePointSet> out;
    for (char32_t d = '0'; d <= '9'; ++d) out.emplace_back(d, d);
    out.emplace_back('-', '-');
    out.emplace_back('.', '.');
    return out;
  }

  [[nodiscard]] const Interval& interval(const Digits& d) const { return d.negative ? negative_ : positive_; }

  [[nodiscard]] std::optional<Digits> minus(Digits d) const {
    if (d.phase != Digits::Phase::start || !may_be_negative_) return std::nullopt;
    d.phase = Digits::Phase::minus;
    d.negative = true;
    return d;
  }

  [[nodiscard]] std::optional<Digits> point(Digits d) const {
    if ((d.phase != Digits::Phase::zero && d.phase != Digits::Phase::whole) || bounds_.integer || most_fraction_ == 0)
      return std::nullopt;
    const auto& in = interval(d);
    d.low = after_whole(d.low, d.whole, in.low);
    d.high = after_whole(d.high, d.whole, in.high);
    if (d.low == Order::less || d.high == Order::more) return std::nullopt;
    d.phase = Digits::Phase::point;
    d.whole = 0;
    return d;
  }

  /// The order of the whole part once it is complete: more digits are more.
  static Order after_whole(Order so_far, std::uint32_t digits, const std::optional<NumberBounds::Bound>& bound) {
    if (!bound || digits == bound->value.whole.size()) return so_far;
    return digits < bound->value.whole.size() ? Order::less : Order::more;
  }

  static Order compare(Order so_far, std::uint32_t digit, std::size_t at, std::string_view digits, bool padded) {
    if (so_far != Order::same || (at >= digits.size() && !padded)) return so_far;
    const auto other = at < digits.size() ? static_cast<std::uint32_t>(digits[at] - '0') : 0;
    return digit < other ? Order::less : digit > other ? Order::more : Order::same;
  }

  [[nodiscard]] std::optional<Digits> digit(Digits d, std::uint32_t value) const {
    using Phase = Digits::Phase;
    const auto& in = interval(d);
    const bool whole = d.phase == Phase::start || d.phase == Phase::minus || d.phase == Phase::whole;
    if (d.phase == Phase::zero || (d.phase == Phase::start && !may_be_positive_)) return std::nullopt;
    const auto at = whole ? d.whole : d.fraction;
    if (!whole && at >= most_fraction_) return std::nullopt;
    const auto follow = [&](Order so_far, const std::optional<NumberBounds::Bound>& bound) {
      if (!bound) return so_far;
      return compare(so_far, value, at, whole ? bound->value.whole : bound->value.fraction, !whole);
    };
    d.low = follow(d.low, in.low);
    d.high = follow(d.high, in.high);
    d.remainder = (d.remainder * 10 + value) % divisor_.modulus;
    if (whole) {
      d.phase = value == 0 && d.phase != Phase::whole ? Phase::zero : Phase::whole;
      d.whole = std::min(d.whole + 1, in.low || in.high ? most_whole_ : 1);
      if (in.high && d.whole > in.high->value.whole.size()) return std::nullopt;
      if (in.low && d.whole > in.low->value.whole.size()) d.low = Order::more;
      if (!in.high && d.low == Order::more && d.whole > in.low->value.whole.size()) d.whole = most_whole_;
    } else {
      d.phase = Phase::fraction;
      d.fraction = at + 1;
      if (d.low == Order::less || d.high == Order::more) return std::nullopt;
    }
    return d;
  }

  [[nodiscard]] bool ends(const Digits& d) const {
    using Phase = Digits::Phase;
    if (d.phase != Phase::zero && d.phase != Phase::whole && d.phase != Phase::fraction) return false;
    const auto& in = interval(d);
    const auto final_order = [&](Order so_far, const std::optional<NumberBounds::Bound>& bound) {
      if (d.phase != Phase::fraction) so_far = after_whole(so_far, d.whole, bound);
      return so_far == Order::same && d.fraction < bound->value.fraction.size() ? Order::less : so_far;
    };
    if (in.low) {
      const auto o = final_order(d.low, in.low);
      if (o == Order::less || (o == Order::same && in.low->exclusive)) return false;
    }
    if (in.high) {
      const auto o = final_order(d.high, in.high);
      if (o == Order::more || (o == Order::same && in.high->exclusive)) return false;
    }
    return divisor_.divides(d.remainder, d.fraction);
  }

  Dfa::State state(const Digits& d) {
    const auto [it, fresh] = known_.try_emplace(d, static_cast<Dfa::State>(order_.size()));
    if (fresh) {
      order_.push_back(&*it);
      dfa_.add_state(ends(d));
    }
    return it->second;
  }

  const NumberBounds& bounds_;
  Divisor divisor_;
  Dfa dfa_;
  Interval positive_, negative_;
  bool may_be_positive_ = true, may_be_negative_ = true;
  std::uint32_t most_whole_ = 1, most_fraction_ = 1;
  std::map<Digits, Dfa::State> known_;
  std::vector<const std::pair<const Digits, Dfa::State>*> order_;
};

NodeIndex digits(Grammar& g, std::uint32_t least, std::uint32_t most = Node::kUnbounded) {
  return g.repeat(g.chars(CodePointSet('0', '9')), least, most);
}

NodeIndex any_number(Grammar& g, bool integer) {
  const auto nonzero = g.sequence({g.chars(CodePointSet('1', '9')), digits(g, 0)});
  if (integer) return g.choice({g.literal("0"), g.sequence({g.optional(g.literal("-")), nonzero})});
  const std::array<CodePointRange, 2> letters{{{'e', 'e'}, {'E', 'E'}}}, signs{{{'+', '+'}, {'-', '-'}}};
  const auto whole = g.choice({g.literal("0"), nonzero});
  const auto fraction = g.optional(g.sequence({g.literal("."), digits(g, 1)}));
  // Up to 299, so that whoever reads doubles can read it.
  const auto power = g.choice({digits(g, 1, 2), g.sequence({g.chars(CodePointSet('0', '2')), digits(g, 2, 2)})});
  const auto exponent =
      g.optional(g.sequence({g.chars(CodePointSet(letters)), g.optional(g.chars(CodePointSet(signs))), power}));
  return g.sequence({g.optional(g.literal("-")), whole, fraction, exponent});
}

}  // namespace

void NumberBounds::at_least(Decimal value, bool exclusive) {
  if (low && (low->value > value || (low->value == value && (low->exclusive || !exclusive)))) return;
  low = Bound{std::move(value), exclusive};
}

void NumberBounds::at_most(Decimal value, bool exclusive) {
  if (high && (high->value < value || (high->value == value && (high->exclusive || !exclusive)))) return;
  high = Bound{std::move(value), exclusive};
}

bool NumberBounds::holds(const Decimal& value) const {
  if (integer && !value.fraction.empty()) return false;
  if (low && (value < low->value || (low->exclusive && value == low->value))) return false;
  if (high && (value > high->value || (high->exclusive && value == high->value))) return false;
  const auto divisor = Divisor::of(multiples_of);
  if (!divisor || value.fraction.size() > divisor->scale) return divisor.has_value() && multiples_of.empty();
  std::uint64_t remainder = 0;
  for (const char d : value.whole + value.fraction)
    remainder = (remainder * 10 + static_cast<std::uint64_t>(d - '0')) % divisor->modulus;
  return multiples_of.empty() ||
         divisor->divides(static_cast<std::uint32_t>(remainder), static_cast<std::uint32_t>(value.fraction.size()));
}

Result<NodeIndex> add_number(Grammar& grammar, const NumberBounds& bounds) {
  if (!bounds.low && !bounds.high && bounds.multiples_of.empty()) return any_number(grammar, bounds.integer);
  if (bounds.low && bounds.high && bounds.high->value < bounds.low->value) return grammar.choice({});
  SLUICE_ASSIGN(const auto divisor, Divisor::of(bounds.multiples_of));
  auto narrowed = bounds;
  if (!bounds.multiples_of.empty() && divisor.scale == 0) narrowed.integer = true;  // written as one
  SLUICE_ASSIGN(const auto dfa, NumberAutomaton(narrowed, divisor).run());
  PlainSpelling plain(grammar);
  return add_dfa(dfa, plain, bounds.integer ? "integer" : "number");
}

}  // namespace sluice::text::grammar
