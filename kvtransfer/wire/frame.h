#pragma once
// The fixed header of a KV frame and the table in front of its payload. docs/wire_format.md has the byte offsets.
//
// parse_frame_header() treats its input as hostile and checks all that can be checked without the ticket.
#include <array>
#include <cstdint>
#include <span>

#include "common/ids.h"
#include "common/result.h"
#include "kvtransfer/transfer_plan.h"
#include "kvtransfer/wire/ticket.h"

namespace sluice::kv {

inline constexpr std::uint32_t kFrameMagic = 0x46564b53;  // "SKVF" as bytes
inline constexpr std::uint16_t kFrameVersion = 2;
inline constexpr std::size_t kFrameHeaderBytes = 128;
inline constexpr std::size_t kSealTagBytes = 16;
inline constexpr std::size_t kSealedHeaderBytes = kFrameHeaderBytes - kSealTagBytes;  // authenticated part
inline constexpr std::size_t kMaxFramePayload = 64U << 20;
inline constexpr std::uint32_t kMaxFrameSegments = 2 * kMaxLayers;

using SealTag = std::array<std::uint8_t, kSealTagBytes>;
using FrameHeaderBytes = std::array<std::byte, kFrameHeaderBytes>;

struct FrameHeader {
  TicketId ticket;
  Incarnation prefill_incarnation;
  Incarnation decode_incarnation;
  FrameSpec spec;
  std::uint32_t codec = 0;
  SealMode seal = SealMode::encrypt;
  std::uint16_t flags = 0;  // none defined in version 1; must be 0
  std::uint32_t payload_bytes = 0;
  std::uint64_t sequence = 0;   // unique within the ticket: it makes the nonce
  std::uint32_t queue_us = 0;   // from KV ready to encode begun
  std::uint32_t encode_us = 0;  // encoding all segments
  std::uint64_t sent_at_us =
      0;  // sender's monotonic clock when sealing began; only differences of one sender mean something
  SealTag tag{};
};

/// Writes h as kFrameHeaderBytes bytes.
void write_frame_header(const FrameHeader& h, std::span<std::byte, kFrameHeaderBytes> out) noexcept;
/// data_corrupt for anything malformed, unsupported for another version.
[[nodiscard]] Result<FrameHeader> parse_frame_header(std::span<const std::byte> bytes);

}  // namespace sluice::kv
