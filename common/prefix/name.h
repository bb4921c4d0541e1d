#pragma once
// The name of a prefix of a prompt: which tokens, under which model, of which tenant. Equal names mean equal positions;
// which bits of KV those have is told by a PrefixForm. Names are made by PrefixNamer and cannot be guessed without its
// key, so whoever shows a name has seen it. Values; any thread. Failure: invalid_argument that shows the text.
#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace sluice::prefix {

struct PrefixName {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const PrefixName&, const PrefixName&) = default;
};

/// 32 lower-case hex digits.
[[nodiscard]] std::string to_hex(const PrefixName& name);
[[nodiscard]] Result<PrefixName> name_from_hex(std::string_view text);
/// Many, one behind the other.
[[nodiscard]] std::string to_hex(std::span<const PrefixName> names);
[[nodiscard]] Result<std::vector<PrefixName>> names_from_hex(std::string_view text);

}  // namespace sluice::prefix

/// A name is a keyed hash already: any part of it will do.
template <>
struct std::hash<sluice::prefix::PrefixName> {
  std::size_t operator()(const sluice::prefix::PrefixName& n) const noexcept {
    std::size_t h;
    std::memcpy(&h, n.bytes.data(), sizeof h);
    return h;
  }
};
