#include "text/regex/program.h"

#include <algorithm>

#include "common/utf8.h"

namespace sluice::text::regex {
namespace {

std::uint8_t first_byte(char32_t c) {
  std::string s;
  append_utf8(s, c);
  return static_cast<std::uint8_t>(s.front());
}

}  // namespace

SetTable::SetTable(const CodePointSet& set) {
  blocks_ = {Block{}, Block{~0ULL, ~0ULL, ~0ULL, ~0ULL}};  // nothing and all of a block: most blocks are one of these
  for (const auto r : set.ranges()) {
    for (auto block = r.first >> 8U; block <= r.last >> 8U; ++block) {
      const auto low = std::max<char32_t>(r.first, block << 8U) & 0xFFU;
      const auto high = std::min<char32_t>(r.last, (block << 8U) + 0xFFU) & 0xFFU;
      if (low == 0 && high == 0xFF) {
        index_[block] = 1;
        continue;
      }
      if (index_[block] == 0) {
        index_[block] = static_cast<std::uint16_t>(blocks_.size());
        blocks_.emplace_back();
      }
      for (auto bit = low; bit <= high; ++bit) blocks_[index_[block]][bit >> 6U] |= 1ULL << (bit & 63U);
    }
    for (auto c = r.first; c <= std::min<char32_t>(r.last, 0x7F); ++c) first_[c] = First::yes;
    if (r.last < 0x80) continue;
    for (unsigned b = first_byte(std::max<char32_t>(r.first, 0x80)); b <= first_byte(r.last); ++b)
      first_[b] = First::perhaps;
  }
}

NextBytes SetTable::next_bytes() const {
  NextBytes out;
  for (std::size_t b = 0; b < first_.size(); ++b) out[b] = first_[b] != First::no;
  return out;
}

}  // namespace sluice::text::regex
