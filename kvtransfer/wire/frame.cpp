#include "kvtransfer/wire/frame.h"

#include <algorithm>

#include "kvtransfer/bytes.h"

namespace sluice::kv {
namespace {

// Offsets in the header; the table in docs/wire_format.md is this list.
enum At : std::size_t {
  kMagic = 0,
  kVersion = 4,
  kHeaderBytes = 6,
  kTicket = 8,
  kPrefillIncarnation = 24,
  kDecodeIncarnation = 32,
  kLayerBegin = 40,
  kLayerCount = 44,
  kTokenBegin = 48,
  kTokenCount = 52,
  kCodec = 56,
  kKinds = 60,
  kSeal = 61,
  kFlags = 62,
  kSegments = 64,
  kPayloadBytes = 68,
  kSequence = 72,
  kQueueUs = 80,
  kEncodeUs = 84,
  kSentAtUs = 88,
  kReserved = 96,  // 16 bytes of zero
  kTag = 112,
};
static_assert(kTag == kSealedHeaderBytes);

}  // namespace

void write_frame_header(const FrameHeader& h, std::span<std::byte, kFrameHeaderBytes> out) noexcept {
  std::ranges::fill(out, std::byte{0});
  std::byte* p = out.data();
  store_le(p + kMagic, kFrameMagic);
  store_le(p + kVersion, kFrameVersion);
  store_le(p + kHeaderBytes, static_cast<std::uint16_t>(kFrameHeaderBytes));
  std::memcpy(p + kTicket, h.ticket.value().data(), h.ticket.value().size());
  store_le(p + kPrefillIncarnation, h.prefill_incarnation.value());
  store_le(p + kDecodeIncarnation, h.decode_incarnation.value());
  store_le(p + kLayerBegin, h.spec.layers.begin);
  store_le(p + kLayerCount, h.spec.layers.count);
  store_le(p + kTokenBegin, h.spec.tokens.begin);
  store_le(p + kTokenCount, h.spec.tokens.count);
  store_le(p + kCodec, h.codec);
  store_le(p + kKinds, h.spec.kinds);
  store_le(p + kSeal, static_cast<std::uint8_t>(h.seal));
  store_le(p + kFlags, h.flags);
  store_le(p + kSegments, h.spec.segments());
  store_le(p + kPayloadBytes, h.payload_bytes);
  store_le(p + kSequence, h.sequence);
  store_le(p + kQueueUs, h.queue_us);
  store_le(p + kEncodeUs, h.encode_us);
  store_le(p + kSentAtUs, h.sent_at_us);
  std::memcpy(p + kTag, h.tag.data(), h.tag.size());
}

Result<FrameHeader> parse_frame_header(std::span<const std::byte> bytes) {
  if (bytes.size() < kFrameHeaderBytes)
    return fail(Errc::data_corrupt, "frame header of {} bytes, {} needed", bytes.size(), kFrameHeaderBytes);
  const std::byte* p = bytes.data();
  if (load_le<std::uint32_t>(p + kMagic) != kFrameMagic) return fail(Errc::data_corrupt, "not a KV frame");
  if (const auto v = load_le<std::uint16_t>(p + kVersion); v != kFrameVersion)
    return fail(Errc::unsupported, "frame version {}, this build speaks {}", v, kFrameVersion);
  if (load_le<std::uint16_t>(p + kHeaderBytes) != kFrameHeaderBytes || bytes.size() != kFrameHeaderBytes)
    return fail(Errc::data_corrupt, "frame header length is not {}", kFrameHeaderBytes);

  FrameHeader h;
  std::array<std::uint8_t, 16> id;
  std::memcpy(id.data(), p + kTicket, id.size());
  h.ticket = TicketId(id);
  h.prefill_incarnation = Incarnation(load_le<std::uint64_t>(p + kPrefillIncarnation));
  h.decode_incarnation = Incarnation(load_le<std::uint64_t>(p + kDecodeIncarnation));
  h.spec.layers = {load_le<std::uint32_t>(p + kLayerBegin), load_le<std::uint32_t>(p + kLayerCount)};
  h.spec.tokens = {load_le<std::uint32_t>(p + kTokenBegin), load_le<std::uint32_t>(p + kTokenCount)};
  h.spec.kinds = load_le<std::uint8_t>(p + kKinds);
  h.codec = load_le<std::uint32_t>(p + kCodec);
  h.flags = load_le<std::uint16_t>(p + kFlags);
  h.payload_bytes = load_le<std::uint32_t>(p + kPayloadBytes);
  h.sequence = load_le<std::uint64_t>(p + kSequence);
  h.queue_us = load_le<std::uint32_t>(p + kQueueUs);
  h.encode_us = load_le<std::uint32_t>(p + kEncodeUs);
  h.sent_at_us = load_le<std::uint64_t>(p + kSentAtUs);
  std::memcpy(h.tag.data(), p + kTag, h.tag.size());

  const auto seal = load_le<std::uint8_t>(p + kSeal);
  if (seal > static_cast<std::uint8_t>(SealMode::digest)) return fail(Errc::data_corrupt, "unknown seal mode {}", seal);
  h.seal = static_cast<SealMode>(seal);
  if (h.flags != 0) return fail(Errc::data_corrupt, "unknown frame flags {:#x}", h.flags);
  if (std::any_of(p + kReserved, p + kTag, [](std::byte b) { return b != std::byte{0}; }))
    return fail(Errc::data_corrupt, "reserved header bytes are not zero");
  if (h.spec.kinds == 0 || h.spec.kinds > kKeysAndValues)
    return fail(Errc::data_corrupt, "unknown kinds {:#x}", h.spec.kinds);
  // Bounded before they are multiplied or added anywhere.
  if (h.spec.layers.count == 0 || h.spec.layers.begin >= kMaxLayers ||
      h.spec.layers.count > kMaxLayers - h.spec.layers.begin)
    return fail(Errc::data_corrupt, "layer range {}+{}", h.spec.layers.begin, h.spec.layers.count);
  if (h.spec.tokens.count == 0 || h.spec.tokens.begin >= kMaxTicketTokens ||
      h.spec.tokens.count > kMaxTicketTokens - h.spec.tokens.begin)
    return fail(Errc::data_corrupt, "token range {}+{}", h.spec.tokens.begin, h.spec.tokens.count);
  if (load_le<std::uint32_t>(p + kSegments) != h.spec.segments())
    return fail(Errc::data_corrupt, "segment count does not follow from layers and kinds");
  if (h.payload_bytes < 4 * h.spec.segments() || h.payload_bytes > kMaxFramePayload)
    return fail(Errc::data_corrupt, "payload of {} bytes", h.payload_bytes);
  return h;
}

}  // namespace sluice::kv
