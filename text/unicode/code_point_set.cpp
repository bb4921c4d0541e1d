#include "text/unicode/code_point_set.h"

#include <algorithm>

namespace sluice::text {

CodePointSet::CodePointSet(std::span<const CodePointRange> ranges) : ranges_(ranges.begin(), ranges.end()) { tidy(); }

void CodePointSet::tidy() {
  std::ranges::sort(ranges_, {}, &CodePointRange::first);
  std::vector<CodePointRange> out;
  for (const auto r : ranges_) {
    if (!out.empty() && r.first <= out.back().last + 1)
      out.back().last = std::max(out.back().last, r.last);
    else
      out.push_back(r);
  }
  ranges_ = std::move(out);
}

bool CodePointSet::contains(char32_t c) const noexcept {
  const auto it = std::ranges::lower_bound(ranges_, c, {}, &CodePointRange::last);
  return it != ranges_.end() && it->first <= c;
}

CodePointSet& CodePointSet::operator|=(const CodePointSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  tidy();
  return *this;
}

CodePointSet& CodePointSet::operator&=(const CodePointSet& other) {
  std::vector<CodePointRange> out;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const CodePointRange both{std::max(a->first, b->first), std::min(a->last, b->last)};
    if (both.first <= both.last) out.push_back(both);
    if (a->last < b->last)
      ++a;
    else
      ++b;
  }
  ranges_ = std::move(out);
  return *this;
}

CodePointSet CodePointSet::complement() const {
  CodePointSet out;
  char32_t next = 0;
  for (const auto r : ranges_) {
    if (r.first > next) out.ranges_.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= kMax) out.ranges_.push_back({next, kMax});
  return out;
}

}  // namespace sluice::text
