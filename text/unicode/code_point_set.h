#pragma once
// A set of Unicode code points as sorted ranges: what classes of regular expressions and Unicode properties are made of
// before they are turned into tables. A value; not thread-safe while it changes.
#include <span>
#include <vector>

namespace sluice::text {

/// Both ends belong to it.
struct CodePointRange {
  char32_t first = 0;
  char32_t last = 0;
  bool operator==(const CodePointRange&) const = default;
};

class CodePointSet {
 public:
  static constexpr char32_t kMax = 0x10FFFF;

  CodePointSet() = default;
  /// `ranges` in any order; they may overlap.
  explicit CodePointSet(std::span<const CodePointRange> ranges);
  CodePointSet(char32_t first, char32_t last) : ranges_{{first, last}} {}

  [[nodiscard]] std::span<const CodePointRange> ranges() const noexcept { return ranges_; }
  [[nodiscard]] bool empty() const noexcept { return ranges_.empty(); }
  [[nodiscard]] bool contains(char32_t c) const noexcept;

  /// What is in either.
  CodePointSet& operator|=(const CodePointSet& other);
  /// What is in both.
  CodePointSet& operator&=(const CodePointSet& other);
  void add(char32_t first, char32_t last) { *this |= CodePointSet(first, last); }
  [[nodiscard]] CodePointSet complement() const;

  bool operator==(const CodePointSet&) const = default;

 private:
  void tidy();

  std::vector<CodePointRange> ranges_;  // ascending, with a gap between any two
};

[[nodiscard]] inline CodePointSet operator|(CodePointSet a, const CodePointSet& b) { return a |= b; }
[[nodiscard]] inline CodePointSet operator&(CodePointSet a, const CodePointSet& b) { return a &= b; }

}  // namespace sluice::text
