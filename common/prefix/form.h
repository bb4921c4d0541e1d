#pragma once
// Which bits the KV of a prefix has. Exact: as the engine computed them. A profile's: what the profile made of exact KV
// that was cut into segments at multiples of the sender's chunk. KV of two forms is never mixed
// (docs/adr/0014-kv-computed-once.md). Values; any thread.
#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace sluice::prefix {

class PrefixForm {
 public:
  /// Exact KV.
  constexpr PrefixForm() = default;
  /// codec: its id; canonical: the hash of the profile's canonical form (an id alone may mean other bits with another
  /// calibration); chunk: positions between cuts, above 0.
  [[nodiscard]] static constexpr PrefixForm of_profile(std::uint32_t codec, std::uint64_t canonical,
                                                       std::uint32_t chunk) noexcept {
    PrefixForm f;
    f.codec_ = codec;
    f.canonical_ = canonical;
    f.chunk_ = chunk;
    return f;
  }

  [[nodiscard]] constexpr bool exact() const noexcept { return chunk_ == 0; }
  [[nodiscard]] constexpr std::uint32_t codec() const noexcept { return codec_; }
  [[nodiscard]] constexpr std::uint64_t canonical() const noexcept { return canonical_; }
  [[nodiscard]] constexpr std::uint32_t chunk() const noexcept { return chunk_; }
  friend constexpr auto operator<=>(const PrefixForm&, const PrefixForm&) = default;

 private:
  std::uint32_t codec_ = 0;
  std::uint64_t canonical_ = 0;
  std::uint32_t chunk_ = 0;  // 0: exact
};

/// "exact", or "<codec>-<canonical>-<chunk>", the first two in hex: for logs and pages.
[[nodiscard]] std::string to_string(const PrefixForm& form);

}  // namespace sluice::prefix

template <>
struct std::hash<sluice::prefix::PrefixForm> {
  std::size_t operator()(const sluice::prefix::PrefixForm& f) const noexcept {
    constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;  // spreads small numbers over all bits (2^64 / golden ratio)
    return f.canonical() ^ (std::uint64_t{f.codec()} << 32U | f.chunk()) * kOdd;
  }
};
