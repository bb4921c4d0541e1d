#pragma once
// Little-endian integers in byte buffers, at any alignment. The builds' targets are little-endian.
#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace sluice::kv {

static_assert(std::endian::native == std::endian::little);

template <class T>
[[nodiscard]] inline T load_le(const std::byte* p) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  T v;
  std::memcpy(&v, p, sizeof(T));
  return v;
}

template <class T>
inline void store_le(std::byte* p, T v) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(p, &v, sizeof(T));
}

}  // namespace sluice::kv
