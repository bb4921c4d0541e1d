#include "node/ingest/frame_decoder.h"

#include "node/kv/pool_rows.h"

namespace sluice::node {

Result<> FrameDecoder::decode(Transfer& t, const HeldBlocks& blocks, std::span<const std::byte> header,
                              std::span<std::byte> payload, DecodeScratch& scratch) const {
  kv::OpenedFrame& f = scratch.opened;
  SLUICE_TRY(kv::open_frame(t.ticket(), codecs_, header, payload, scratch.frame, f));
  SLUICE_TRY(t.claim(f.header));
  PoolRows<std::byte> rows(pool_, blocks.blocks());
  for (const kv::FrameSegment& s : f.segments) SLUICE_TRY(kv::decode_segment(s, rows.of(s.shape), scratch.frame));
  return t.commit(f.header.spec);
}

}  // namespace sluice::node
