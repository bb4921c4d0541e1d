#pragma once
// From KV rows to a sealed frame and back. No allocation once the scratch has grown: buffers are the caller's.
//
// Sender:   build_frame() per FrameSpec of the plan.
// Receiver: parse_frame_header() -> TicketBook::admit() -> check_frame() -> [payload lands] -> open_frame() ->
//           CoverageTracker::claim() -> decode_segment() for each segment -> commit().
// Threading: all functions may run on any thread; a FrameScratch belongs to one thread at a time.
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "common/result.h"
#include "kvtransfer/codec/codec.h"
#include "kvtransfer/transfer_plan.h"
#include "kvtransfer/wire/frame.h"
#include "kvtransfer/wire/seal.h"
#include "kvtransfer/wire/ticket.h"

namespace sluice::kv {

struct FrameScratch {
  CodecScratch codec;
  Sealer sealer;
};

/// Gives the rows of a segment; the view must stay valid until the next call.
using RowsOf = std::function<ConstRows(const SegmentShape&)>;

/// Size of the payload buffer that build_frame() needs at most.
[[nodiscard]] std::size_t max_payload_bytes(const Ticket& ticket, const FrameSpec& spec, const Codec& codec);

struct FrameTimes {
  std::uint32_t queue_us = 0;  // from KV ready to the call of build_frame
};

struct BuiltFrame {
  FrameHeaderBytes header{};
  std::size_t payload_bytes = 0;  // used of the buffer
  std::uint32_t encode_us = 0, seal_us = 0;
};

/// Encodes and seals one frame. sequence: never used before with this ticket. payload: max_payload_bytes() long.
/// invalid_argument if spec is outside the ticket, unsupported if a codec cannot carry the layout.
[[nodiscard]] Result<BuiltFrame> build_frame(const Ticket& ticket, const Profile& profile, const FrameSpec& spec,
                                             std::uint64_t sequence, const RowsOf& rows, std::span<std::byte> payload,
                                             FrameScratch& scratch, const FrameTimes& times = {});

/// What the header claims against what the ticket allows, before the payload lands: ranges, codecs (unsupported when
/// this build lacks one), seal mode, and payload size against the largest the shape can need.
[[nodiscard]] Result<> check_frame(const Ticket& ticket, const CodecRegistry& codecs, const FrameHeader& h);

struct FrameSegment {
  SegmentShape shape;
  const Codec* codec = nullptr;
  std::span<const std::byte> blob;
};

/// A frame whose seal and table were checked. Views the payload; reuse one object to avoid allocation.
struct OpenedFrame {
  FrameHeader header;
  std::vector<FrameSegment> segments;
};

/// Checks header and ticket (as check_frame), the seal, then the segment table; in encrypt mode decrypts payload in
/// place. header: the bytes as received. data_corrupt when anything is wrong; not a byte has been decoded then.
[[nodiscard]] Result<> open_frame(const Ticket& ticket, const CodecRegistry& codecs, std::span<const std::byte> header,
                                  std::span<std::byte> payload, FrameScratch& scratch, OpenedFrame& out);

[[nodiscard]] inline Result<> decode_segment(const FrameSegment& s, const MutRows& rows, FrameScratch& scratch) {
  return s.codec->decode(s.shape, s.blob, rows, scratch.codec);
}

}  // namespace sluice::kv
