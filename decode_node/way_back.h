#pragma once
// How a sequence that must give up its blocks gets its KV back (docs/adr/0010). Pure.
//
//   swap       its KV is copied into the host's memory, and back. The bytes are the same.
//   recompute  its KV is computed once more. The bits are the same only where they are this node's own (exact), since a
//              row does not depend on its batch; that of a lossy transfer cannot be had again here.
//   give_back  the leg ends here, and its coordinator has it resumed: the same profile, its tokens are replayed.
#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::decode {

enum class WayBack : std::uint8_t { swap, recompute, give_back };
inline constexpr std::array kWaysBack{WayBack::swap, WayBack::recompute, WayBack::give_back};
[[nodiscard]] constexpr std::string_view name(WayBack w) noexcept {
  switch (w) {
    case WayBack::swap:
      return "swap";
    case WayBack::recompute:
      return "recompute";
    case WayBack::give_back:
      return "return";
  }
  return "return";
}

/// What is known when a sequence is parked. Speeds in units per second; 0 = not measured yet.
struct ParkedFacts {
  bool exact = false;           // computed here, its KV would have the same bits
  std::uint32_t positions = 0;  // whose KV it has
  std::uint64_t raw_bytes = 0;  // of that KV
  std::uint64_t swap_free = 0;
  double swap_ratio = 1;  // raw bytes / bytes in swap memory, as it was lately
  double out_bps = 0, in_bps = 0;
  double prompt_tokens_per_s = 0;  // positions computed in chunks
};

/// Swap where there is room, unless computing is known to be sooner; else compute, if that gives the same bits.
[[nodiscard]] constexpr WayBack way_back(const ParkedFacts& f) noexcept {
  if (f.positions == 0 && f.exact) return WayBack::recompute;
  const double swapped = static_cast<double>(f.raw_bytes) / (f.swap_ratio > 0 ? f.swap_ratio : 1);
  const bool fits = swapped <= static_cast<double>(f.swap_free) && f.swap_free > 0;
  if (!fits) return f.exact ? WayBack::recompute : WayBack::give_back;
  if (!f.exact || f.out_bps <= 0 || f.in_bps <= 0 || f.prompt_tokens_per_s <= 0) return WayBack::swap;
  const double swap_s = static_cast<double>(f.raw_bytes) * (1 / f.out_bps + 1 / f.in_bps);
  return f.positions / f.prompt_tokens_per_s < swap_s ? WayBack::recompute : WayBack::swap;
}

}  // namespace sluice::decode
