#pragma once
// Strong identifiers: a bare integer never crosses a wall.
#include <fmt/format.h>

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace sluice {

template <class Tag, class Rep>
class StrongId {
 public:
  using rep = Rep;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep v) : value_(std::move(v)) {}
  [[nodiscard]] constexpr const Rep& value() const noexcept { return value_; }
  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;

 private:
  Rep value_{};
};

/// One leg of a client request (one choice), unique within a coordinator's life.
using RequestId = StrongId<struct RequestTag, std::uint64_t>;
/// Operator-given or generated node name, e.g. "prefill-0".
using NodeId = StrongId<struct NodeTag, std::string>;
/// Random per process start; a message that names an older incarnation is stale.
using Incarnation = StrongId<struct IncarnationTag, std::uint64_t>;
/// Index of a KV block in one node's pool.
using BlockId = StrongId<struct BlockTag, std::uint32_t>;

using TokenId = std::int32_t;

}  // namespace sluice

template <class Tag, class Rep>
struct std::hash<sluice::StrongId<Tag, Rep>> {
  std::size_t operator()(const sluice::StrongId<Tag, Rep>& id) const noexcept { return std::hash<Rep>{}(id.value()); }
};

template <class Tag, class Rep>
struct fmt::formatter<sluice::StrongId<Tag, Rep>> : fmt::formatter<Rep> {
  template <class Ctx>
  auto format(const sluice::StrongId<Tag, Rep>& id, Ctx& ctx) const {
    return fmt::formatter<Rep>::format(id.value(), ctx);
  }
};
