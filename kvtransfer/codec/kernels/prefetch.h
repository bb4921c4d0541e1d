#pragma once
// Codecs work block by block in the first-level cache. A block asks for the next one's bytes before it begins on its
// own: on one core, that is the difference between 0.6 and 0.9 of memcpy.
#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace sluice::kv {

/// Asks for n bytes from p on; they may be anywhere.
inline void prefetch(const std::byte* p, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; i += 64) __builtin_prefetch(p + i);
}

/// The first touch of a page costs a walk through the page tables, during which the lines behind it wait. Asked for so
/// many rows before, walks run beside the copying: a fifth faster where memory is the bound.
inline constexpr std::uint32_t kTranslateRows = 16;
inline void ask_translation(const std::byte* row) noexcept { __builtin_prefetch(row, 0, 2); }
/// The row to ask for while row r is at work; the last again where there is none.
template <class Rows>
inline auto row_after(const Rows& rows, std::size_t r) noexcept {
  return rows[std::min<std::size_t>(r + kTranslateRows, rows.size() - 1)];
}

}  // namespace sluice::kv
