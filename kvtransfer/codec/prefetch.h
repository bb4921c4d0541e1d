#pragma once
// Codecs work block by block in the first-level cache. A block asks for the next one's bytes before it begins on its
// own: on one core, that is the difference between 0.6 and 0.9 of memcpy.
#include <cstddef>

namespace sluice::kv {

/// Asks for n bytes from p on; they may be anywhere.
inline void prefetch(const std::byte* p, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; i += 64) __builtin_prefetch(p + i);
}

}  // namespace sluice::kv
