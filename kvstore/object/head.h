#pragma once
// The head of a stored object, and the table of its parts; docs/wire_format.md has the byte offsets.
//
// parse_head() treats its input as hostile: every length is bounded before anything is allocated or added by it. What
// it gives is what the bytes say; only their digest tells whether it is true (object.h). Threading: pure functions.
// Failure: a Refused that names why, or invalid_argument for a head that may not be written.
#include <array>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "kvstore/object/address.h"
#include "kvtransfer/transfer_plan.h"

namespace sluice::kvstore {

inline constexpr std::uint32_t kObjectMagic = 0x4f564b53;  // "SKVO" as bytes
inline constexpr std::uint16_t kObjectVersion = 1;
inline constexpr std::size_t kHeadBytes = 160;
inline constexpr std::size_t kPartBytes = 28;  // of an entry in the table
inline constexpr std::size_t kDigestBytes = 32;
inline constexpr std::size_t kMaxObjectBytes = std::size_t{64} << 20U;
inline constexpr std::uint32_t kMaxObjectParts = 4096;
inline constexpr std::uint32_t kMaxObjectTokens = 1U << 16U;

/// Why bytes are not an object that may be used. Each is counted by this name.
enum class Refusal : std::uint8_t { length, head, digest, address, seal };
inline constexpr std::size_t kRefusals = 5;
[[nodiscard]] std::string_view name(Refusal why) noexcept;

struct Refused {
  Refusal why = Refusal::head;
  std::string message;
};
template <class T = void>
using Checked = std::expected<T, Refused>;

/// One frame's payload as it was encoded: table of segments and blobs.
struct ObjectPart {
  kv::FrameSpec spec;
  std::uint32_t codec = 0;
  std::uint32_t bytes = 0;
  friend bool operator==(const ObjectPart&, const ObjectPart&) = default;
};

struct ObjectHead {
  ObjectAddress address;
  prefix::PrefixName parent;  // of the block before the first one; the root's name at position 0
  double kl = 0;              // stated of the profile that made it; 0: exact
  prefix::TenantMark tenant;
  bool sealed = false;                  // content is encrypted
  std::array<std::uint8_t, 16> salt{};  // random when sealed: makes the key of this one seal
  std::vector<ObjectPart> parts;        // every row of the column is in exactly one
  friend bool operator==(const ObjectHead&, const ObjectHead&) = default;

  [[nodiscard]] std::uint64_t content_bytes() const noexcept;
  /// Head, table, content, seal, digest.
  [[nodiscard]] std::uint64_t total_bytes() const noexcept;
  [[nodiscard]] std::size_t table_end() const noexcept { return kHeadBytes + parts.size() * kPartBytes; }
  [[nodiscard]] ObjectFacts facts() const noexcept {
    return {address.name, parent, address.form, tenant, total_bytes()};
  }
};

/// The fixed part of a head. The parts are in the table behind it.
struct ParsedHead {
  ObjectHead head;
  std::uint32_t parts = 0;
  std::uint64_t total_bytes = 0;
  [[nodiscard]] ObjectFacts facts() const noexcept {
    return {head.address.name, head.parent, head.address.form, head.tenant, total_bytes};
  }
};

/// What the key of an address is the hash of.
inline constexpr std::size_t kAddressBytes = 80;
void write_address(const ObjectAddress& address, std::span<std::byte, kAddressBytes> out) noexcept;

/// invalid_argument unless h could be read again: ranges, sizes, and parts that are exactly the column.
[[nodiscard]] Result<> check_head(const ObjectHead& h);
/// Writes head and table: table_end() bytes of out.
void write_head(const ObjectHead& h, std::span<std::byte> out) noexcept;
/// The first kHeadBytes of an object.
[[nodiscard]] Checked<ParsedHead> parse_head(std::span<const std::byte> bytes);
/// Head and table of a whole object, whose length must be what it says.
[[nodiscard]] Checked<ObjectHead> parse_whole(std::span<const std::byte> object);

}  // namespace sluice::kvstore
