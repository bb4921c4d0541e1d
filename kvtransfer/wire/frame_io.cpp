#include "kvtransfer/wire/frame_io.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "kvtransfer/bytes.h"

namespace sluice::kv {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

std::uint32_t micros_since(SteadyTime t) noexcept {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - t).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(us, 0, std::numeric_limits<std::uint32_t>::max()));
}

std::size_t table_bytes(const FrameSpec& spec) noexcept { return sizeof(std::uint32_t) * spec.segments(); }

std::uint32_t end_of(const Ticket& t) noexcept { return t.tokens.begin + t.tokens.count; }

bool inside(const Ticket& t, const FrameSpec& f) noexcept {
  return f.kinds != 0 && f.kinds <= kKeysAndValues && f.layers.count > 0 && f.layers.begin < t.layout.layers &&
         f.layers.count <= t.layout.layers - f.layers.begin && f.tokens.count > 0 && f.tokens.begin >= t.tokens.begin &&
         f.tokens.begin - t.tokens.begin < t.tokens.count &&
         f.tokens.count <= t.tokens.count - (f.tokens.begin - t.tokens.begin);
}

}  // namespace

std::size_t max_payload_bytes(const Ticket& ticket, const FrameSpec& spec, const Codec& codec) {
  std::size_t bytes = table_bytes(spec);
  for (std::uint32_t i = 0; i < spec.segments(); ++i)
    bytes += codec.max_encoded_size(spec.segment(ticket.layout, end_of(ticket), i));
  return bytes;
}

Result<BuiltFrame> build_frame(const Ticket& ticket, const Profile& profile, const FrameSpec& spec,
                               std::uint64_t sequence, const RowsOf& rows, std::span<std::byte> payload,
                               FrameScratch& scratch, const FrameTimes& times) {
  if (!inside(ticket, spec)) return fail(Errc::invalid_argument, "the frame is outside the ticket");
  const Codec* codec = profile.codec;
  if (!ticket.allows(codec->id()))
    return fail(Errc::invalid_argument, "profile '{}' is not the ticket's '{}', nor one it lists", profile.name,
                ticket.profile);
  if (payload.size() < table_bytes(spec))
    return fail(Errc::invalid_argument, "payload buffer of {} bytes is too small", payload.size());

  const SteadyTime begin = std::chrono::steady_clock::now();
  std::size_t used = table_bytes(spec);
  for (std::uint32_t i = 0; i < spec.segments(); ++i) {
    const SegmentShape s = spec.segment(ticket.layout, end_of(ticket), i);
    if (codec->max_encoded_size(s) > payload.size() - used)
      return fail(Errc::invalid_argument, "payload buffer of {} bytes is too small", payload.size());
    SLUICE_ASSIGN(const std::size_t n, codec->encode(s, rows(s), payload.subspan(used), scratch.codec));
    store_le(payload.data() + sizeof(std::uint32_t) * i, static_cast<std::uint32_t>(n));
    used += n;
  }
  if (used > kMaxFramePayload)
    return fail(Errc::invalid_argument, "frame of {} bytes, at most {} may be sent", used, kMaxFramePayload);

  BuiltFrame out;
  out.payload_bytes = used;
  out.encode_us = micros_since(begin);
  const SteadyTime sealing = std::chrono::steady_clock::now();
  FrameHeader h{.ticket = ticket.id,
                .prefill_incarnation = ticket.prefill_incarnation,
                .decode_incarnation = ticket.decode_incarnation,
                .spec = spec,
                .codec = codec->id(),
                .seal = ticket.seal,
                .flags = 0,
                .payload_bytes = static_cast<std::uint32_t>(used),
                .sequence = sequence,
                .queue_us = times.queue_us,
                .encode_us = out.encode_us,
                .sent_at_us = static_cast<std::uint64_t>(
                    std::chrono::duration_cast<std::chrono::microseconds>(sealing.time_since_epoch()).count()),
                .tag = {}};
  write_frame_header(h, out.header);
  SLUICE_ASSIGN(h.tag, scratch.sealer.seal(ticket.seal, ticket.key,
                                           make_nonce(ticket.nonce_base, Direction::prefill_to_decode, sequence),
                                           std::span(out.header).first<kSealedHeaderBytes>(), payload.first(used)));
  write_frame_header(h, out.header);
  out.seal_us = micros_since(sealing);
  return out;
}

Result<> check_frame(const Ticket& ticket, const CodecRegistry& codecs, const FrameHeader& h) {
  if (h.ticket != ticket.id) return fail(Errc::data_corrupt, "the frame names another ticket");
  if (h.prefill_incarnation != ticket.prefill_incarnation || h.decode_incarnation != ticket.decode_incarnation)
    return fail(Errc::stale, "the frame is from another life of a node");
  const Codec* codec = codecs.find(h.codec);
  if (codec == nullptr) return fail(Errc::unsupported, "no codec {:#x} in this node", h.codec);
  if (!ticket.allows(h.codec)) return fail(Errc::data_corrupt, "codec '{}' was not agreed on", codec->name());
  if (h.seal != ticket.seal) return fail(Errc::data_corrupt, "this seal mode was not agreed on");
  if (!inside(ticket, h.spec)) return fail(Errc::data_corrupt, "the frame is outside the ticket");
  for (std::uint32_t i = 0; i < h.spec.segments(); ++i)
    if (!codec->supports(h.spec.segment(ticket.layout, end_of(ticket), i)))
      return fail(Errc::unsupported, "codec '{}' cannot carry this layout", codec->name());
  if (h.payload_bytes > max_payload_bytes(ticket, h.spec, *codec))
    return fail(Errc::data_corrupt, "payload of {} bytes is more than its shape can need", h.payload_bytes);
  return {};
}

Result<> open_frame(const Ticket& ticket, const CodecRegistry& codecs, std::span<const std::byte> header,
                    std::span<std::byte> payload, FrameScratch& scratch, OpenedFrame& out) {
  out.segments.clear();
  SLUICE_ASSIGN(out.header, parse_frame_header(header));
  const FrameHeader& h = out.header;
  SLUICE_TRY(check_frame(ticket, codecs, h));
  if (h.payload_bytes != payload.size())
    return fail(Errc::data_corrupt, "payload of {} bytes, its header says {}", payload.size(), h.payload_bytes);
  SLUICE_TRY(scratch.sealer.open(ticket.seal, ticket.key,
                                 make_nonce(ticket.nonce_base, Direction::prefill_to_decode, h.sequence),
                                 header.first(kSealedHeaderBytes), payload, h.tag));

  const Codec* codec = codecs.find(h.codec);
  std::span<const std::byte> rest = payload;
  rest = rest.subspan(table_bytes(h.spec));  // parse_frame_header() saw to payload_bytes >= table
  for (std::uint32_t i = 0; i < h.spec.segments(); ++i) {
    const auto n = load_le<std::uint32_t>(payload.data() + sizeof(std::uint32_t) * i);
    if (n > rest.size()) {
      out.segments.clear();
      return fail(Errc::data_corrupt, "segment {} of {} bytes, {} are left", i, n, rest.size());
    }
    out.segments.push_back({h.spec.segment(ticket.layout, end_of(ticket), i), codec, rest.first(n)});
    rest = rest.subspan(n);
  }
  if (!rest.empty()) {
    out.segments.clear();
    return fail(Errc::data_corrupt, "{} bytes after the last segment", rest.size());
  }
  return {};
}

}  // namespace sluice::kv
