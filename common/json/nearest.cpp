#include "common/json/nearest.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace sluice {
namespace {

constexpr std::size_t kLongest = 64;  // the cost is the product of both lengths, and `word` comes from outside

// Optimal string alignment distance (Damerau-Levenshtein, each part edited once), three rows at a time.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view word, std::span<const std::string_view> known) {
  if (word.size() > kLongest) return {};
  std::string_view best;
  std::size_t least = std::max<std::size_t>(word.size() / 3, 1) + 1;
  for (const std::string_view name : known) {
    if (name.size() > kLongest) continue;
    if (const std::size_t n = edits(word, name); n < least) {
      best = name;
      least = n;
    }
  }
  return best;
}

}  // namespace sluice
