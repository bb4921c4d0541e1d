#pragma once
// A ticket: the decode node's permission for one prefill node to send the KV of one request, once.
//
// The decode node makes it, keeps it in its TicketBook, and the coordinator carries it to the prefill node over the
// control plane (to_json / ticket_from_json). Every frame names the ticket and is sealed under its key.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "kvtransfer/codec/codec.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::kv {

using TicketId = StrongId<struct TicketTag, std::array<std::uint8_t, 16>>;
using SealKey = std::array<std::uint8_t, 32>;
[[nodiscard]] std::string to_hex(const TicketId& id);

/// How frames are sealed. Both authenticate header and payload; only encrypt hides the payload.
enum class SealMode : std::uint8_t { encrypt = 0, digest = 1 };

struct Ticket {
  TicketId id;
  SealKey key{};
  std::uint32_t nonce_base = 0;
  SealMode seal = SealMode::encrypt;
  RequestId request;
  std::string tenant;
  NodeId prefill_node;
  Incarnation prefill_incarnation;
  NodeId decode_node;
  Incarnation decode_incarnation;
  std::uint64_t model_hash = 0;  // weights and configuration; both nodes must run the same
  KvLayout layout;
  std::uint64_t format_hash = 0;  // CodecRegistry::format_hash() of the decode node
  std::string profile;
  std::uint32_t codec = 0;                 // Codec::id() of the profile
  std::vector<std::uint32_t> alternates;   // codecs that frames may have instead, when the link gives way
  TokenRange tokens;                       // KV that will be sent
  std::uint32_t block_size = 0;            // tokens per block of the decode pool
  std::vector<BlockId> blocks;             // decode pool blocks of positions 0 .. tokens.begin + tokens.count, in order
  std::uint64_t max_wire_bytes = 0;        // sum of payload bytes the decode node accepts
  std::chrono::milliseconds valid_for{0};  // from issue, on the decode node's clock

  [[nodiscard]] bool allows(std::uint32_t id) const {
    return id == codec || std::ranges::find(alternates, id) != alternates.end();
  }
  friend bool operator==(const Ticket&, const Ticket&) = default;
};

/// Fills id, key and nonce_base from the system's random source.
[[nodiscard]] Result<> draw_secrets(Ticket& t);

/// An upper bound of the payload bytes of a transfer with any codec of this build, however it is cut into frames.
[[nodiscard]] std::uint64_t wire_budget(const KvLayout& layout, TokenRange tokens) noexcept;

inline constexpr std::size_t kMaxNameBytes = 256;  // tenant, node ids, profile
inline constexpr std::size_t kMaxAlternates = 16;
inline constexpr std::uint32_t kMaxTicketTokens = 1U << 24;  // positions
inline constexpr std::uint32_t kMaxLayers = 4096, kMaxKvHeads = 4096, kMaxHeadDim = 4096;

/// CBOR- and JSON-able form. Holds the key: it goes only over the control plane, never into a log.
[[nodiscard]] nlohmann::json to_json(const Ticket& t);
/// Reads a ticket from an untrusted peer: invalid_argument names the field that is missing, mistyped or out of range.
[[nodiscard]] Result<Ticket> ticket_from_json(const nlohmann::json& j);

}  // namespace sluice::kv
