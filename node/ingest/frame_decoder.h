#pragma once
// One admitted frame into its blocks: seal and table checked, rows claimed, decoded in place, committed.
// Threading: any number of threads, each with a scratch of its own. Failure: nothing is decoded of a frame whose seal
// or table is wrong; of one whose codec fails later some rows may be written, and none count.
#include <span>

#include "engine/kv_pool.h"
#include "kvtransfer/wire/frame_io.h"
#include "node/ingest/transfer.h"

namespace sluice::node {

struct DecodeScratch {
  kv::FrameScratch frame;
  kv::OpenedFrame opened;
};

class FrameDecoder {
 public:
  FrameDecoder(engine::KvPool& pool, const kv::CodecRegistry& codecs) : pool_(pool), codecs_(codecs) {}
  /// In encrypt mode the payload is decrypted in place.
  [[nodiscard]] Result<> decode(Transfer& t, const HeldBlocks& blocks, std::span<const std::byte> header,
                                std::span<std::byte> payload, DecodeScratch& scratch) const;

 private:
  engine::KvPool& pool_;
  const kv::CodecRegistry& codecs_;
};

}  // namespace sluice::node
