#pragma once
// What flow endpoints say over a Transport. Message ids and header layouts (little-endian); docs/wire_format.md.
//
//   sender -> receiver   hello  header: the node's hello bytes
//                        frame  header: the frame header, payload: the sealed frame
//                        probe  header: u64 sequence, payload: 0 to kMaxProbe bytes, discarded
//   receiver -> sender   welcome  header: u64 window in bytes, u64 largest frame payload
//                        refused  header: u8 error code, text
//                        credit   header: u64 payload bytes of one frame that was freed
//                        probed   header: u64 sequence
//   both                 note   header: opaque bytes
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kvtransfer/transport/transport.h"

namespace sluice::kv::flow {

inline constexpr MessageId kHello = 1, kWelcome = 2, kRefused = 3, kCredit = 4, kFrame = 5, kNote = 6, kProbe = 7,
                           kProbed = 8;
inline constexpr std::size_t kMaxProbe = 1U << 20;

/// What a frame takes of the window, at both ends: its payload, and at least what the receiver keeps of any frame
/// besides (header, maps, allocations). Else a window of one-byte frames would hold a hundred times its memory.
[[nodiscard]] constexpr std::uint64_t charge(std::uint64_t payload_bytes) {
  return std::max<std::uint64_t>(payload_bytes, 1024);
}

inline void put_u64(std::vector<std::byte>& out, std::uint64_t v) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<std::byte>(v >> (8 * i)));
}

/// The u64 at byte `at`; nothing if the bytes end before it.
[[nodiscard]] inline std::optional<std::uint64_t> get_u64(std::span<const std::byte> in, std::size_t at = 0) {
  if (at > in.size() || in.size() - at < 8) return std::nullopt;
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < 8; ++i) v |= static_cast<std::uint64_t>(in[at + i]) << (8 * i);
  return v;
}

}  // namespace sluice::kv::flow
