#pragma once
// The backtracking machine that runs a Program over a text, as Oniguruma would: leftmost, first alternative first.
//
// Hostile patterns and texts: work is counted in steps (about one for each character looked at) against a budget that
// the caller shares out; backtracking points live on a heap stack of bounded size; the machine recurses only into
// lookarounds and atomic groups, whose nesting the parser bounds. A Matcher serves one text and one thread.
#include <optional>
#include <string_view>
#include <vector>

#include "text/regex/program.h"
#include "text/regex/regex.h"

namespace sluice::text::regex {

class Matcher {
 public:
  Matcher(const Program& program, std::string_view text, MatchBudget& budget)
      : p_(program), text_(text), steps_(budget.steps) {}

  /// The first match that begins at `from` or later. Nothing also when the budget ran out: then exhausted() says so.
  [[nodiscard]] std::optional<ByteRange> find(std::size_t from);
  [[nodiscard]] bool exhausted() const noexcept { return exhausted_; }

 private:
  /// Where to go on when what was tried failed.
  struct Point {
    std::uint32_t at;    // instruction
    std::uint32_t text;  // choice: where; run: the end of the run; lazy run: where
    std::uint64_t more;  // choice: alternatives left; run: how far it may give back; lazy run: characters so far
  };

  [[nodiscard]] std::optional<std::size_t> match(std::uint32_t at, std::size_t pos);
  /// One instruction. Moves `at` and `pos`, or says that this way fails.
  bool step(std::uint32_t& at, std::size_t& pos);
  bool resume(std::uint32_t& at, std::size_t& pos);
  bool choose(std::uint32_t at, std::uint64_t alternatives, std::uint32_t& to, std::size_t pos);
  bool run(const Instruction& i, std::uint32_t& at, std::size_t& pos);
  bool give_back(const Instruction& i, std::uint32_t& at, std::size_t low, std::size_t& pos);
  bool look(const Instruction& i, std::uint32_t& at, std::size_t pos);
  [[nodiscard]] bool holds(Place place, std::size_t pos) const;
  [[nodiscard]] bool in_set(std::uint32_t set, std::size_t pos) const;
  /// Past the character at `pos` if it is one of the set; else `pos`.
  [[nodiscard]] std::size_t pass(const SetTable& set, std::size_t pos) const;
  [[nodiscard]] std::size_t before(std::size_t pos) const;
  void push(Point p);
  void spend(std::size_t steps);

  const Program& p_;
  std::string_view text_;
  std::uint64_t& steps_;
  bool exhausted_ = false;
  std::vector<Point> points_;
};

}  // namespace sluice::text::regex
