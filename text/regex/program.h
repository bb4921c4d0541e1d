#pragma once
// What regex/compiler makes of a tree and regex/matcher runs: instructions for a backtracking machine, and tables.
// Const and thread-safe once built.
#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

#include "text/regex/syntax.h"
#include "text/unicode/code_point_set.h"

namespace sluice::text::regex {

/// What may come next: a byte, or (kEnd) the end of the text.
using NextBytes = std::bitset<257>;
inline constexpr std::size_t kEnd = 256;

/// A set of code points, made for fast questions about UTF-8 text.
class SetTable {
 public:
  explicit SetTable(const CodePointSet& set);

  enum class First : std::uint8_t { no, yes, perhaps };
  /// What the first byte of a character says about the character.
  [[nodiscard]] First first(std::uint8_t byte) const noexcept { return first_[byte]; }
  [[nodiscard]] bool contains(char32_t c) const noexcept {
    return (blocks_[index_[c >> 8U]][c >> 6U & 3U] >> (c & 63U) & 1U) != 0;
  }
  [[nodiscard]] NextBytes next_bytes() const;

 private:
  using Block = std::array<std::uint64_t, 4>;  // 256 code points
  std::array<First, 256> first_{};
  std::array<std::uint16_t, (CodePointSet::kMax >> 8U) + 1> index_{};
  std::vector<Block> blocks_;
};

enum class Op : std::uint8_t { literal, set, run, choice, jump, look, atomic, place, accept };

struct Instruction {
  Op op = Op::accept;
  Mode mode = Mode::greedy;         // run
  Place place = Place::text_begin;  // place
  bool negative = false;            // look
  std::uint32_t index = 0;          // literal, set, run (its set), choice: into the tables
  std::uint32_t next = 0;           // jump, look, atomic: where to go on
  std::uint32_t min = 0;            // run: how many
  std::uint32_t max = 0;            // run
  std::uint32_t behind = 0;         // look: how many characters to go back first
  std::uint32_t follows = 0;        // run: what may come behind it, into `next_bytes`
};

/// Alternatives in order of preference, at most 64; `by_byte` has the bits of those that may begin with the byte at
/// hand.
struct Choice {
  std::vector<std::uint32_t> targets;
  std::array<std::uint64_t, 257> by_byte{};
};

struct Program {
  std::vector<Instruction> code;  // begins at 0
  std::vector<std::string> literals;
  std::vector<SetTable> sets;
  std::vector<Choice> choices;
  std::vector<NextBytes> next_bytes;
  NextBytes first;             // what a match may begin with
  std::uint32_t word_set = 0;  // for the edges of words
};

}  // namespace sluice::text::regex
