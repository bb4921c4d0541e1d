#pragma once
// What two nodes say on a data-plane connection besides frames: a hello from the prefill node when it connects, and one
// note from the decode node per ticket when its KV is committed or refused. Fixed little-endian layouts
// (docs/wire_format.md); parsing treats the bytes as hostile. Threading: pure functions.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "kvtransfer/kv_layout.h"
#include "kvtransfer/wire/ticket.h"

namespace sluice::kv {

inline constexpr std::uint8_t kHandshakeVersion = 1;

struct Hello {
  NodeId node;
  Incarnation incarnation;
  std::uint64_t model_hash = 0;
  KvLayout layout;
  std::uint64_t format_hash = 0;
};

/// How a ticket ended at the decode node.
struct TransferNote {
  TicketId ticket;
  bool committed = false;
  Errc code = Errc::internal;    // why not, when not committed
  std::uint32_t decode_us = 0;   // seal check and codec, busy time
  std::uint64_t wire_bytes = 0;  // payload bytes received
  std::string message;           // at most 256 bytes
};

[[nodiscard]] std::vector<std::byte> write_hello(const Hello& h);
[[nodiscard]] Result<Hello> parse_hello(std::span<const std::byte> bytes);
[[nodiscard]] std::vector<std::byte> write_note(const TransferNote& n);
[[nodiscard]] Result<TransferNote> parse_note(std::span<const std::byte> bytes);

}  // namespace sluice::kv
