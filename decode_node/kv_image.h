#pragma once
// The KV of a parked sequence outside the pool: its rows, losslessly compressed, with a digest that is checked before a
// byte of them is decoded.
//
// Threading: an image is a value that nobody changes; it may be read from any thread. A codec's scratch is one
// thread's. Failure: resource_exhausted (the swap memory is full), unsupported (rows that no lossless codec carries),
// data_corrupt (the bytes are not those that were written; the blocks then hold what they held).
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "decode_node/swap_memory.h"
#include "engine/kv_pool.h"
#include "engine/policy/block_allocator.h"
#include "kvtransfer/codec/codec.h"

namespace sluice::decode {

/// Rows of positions [0, tokens) in the pool: block i holds positions [i * block_size, (i + 1) * block_size).
struct ImageRows {
  engine::KvPool& pool;
  std::span<const engine::BlockHandle> blocks;
  std::uint32_t tokens = 0;
};

class KvImage {
 public:
  /// The fastest codec of this build that loses nothing of such rows; null where there is none.
  [[nodiscard]] static const kv::Codec* codec_for(const kv::CodecRegistry& codecs, const engine::KvPoolShape& shape);

  /// Reads the rows. `rows.tokens` > 0, and there are blocks for all of them.
  [[nodiscard]] static Result<KvImage> of(const kv::Codec& codec, const ImageRows& rows,
                                          std::shared_ptr<SwapMemory> memory, kv::CodecScratch& scratch);
  /// Writes them: as many as were read, into a pool of the same shape.
  [[nodiscard]] Result<> restore(const kv::Codec& codec, const ImageRows& rows, kv::CodecScratch& scratch) const;

  [[nodiscard]] std::uint32_t tokens() const noexcept { return tokens_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return claim_.bytes(); }
  /// For tests: the pieces as they lie in memory.
  [[nodiscard]] std::vector<std::vector<std::byte>>& pieces() noexcept { return pieces_; }

 private:
  struct Digest {
    std::uint64_t low = 0, high = 0;
    friend bool operator==(const Digest&, const Digest&) = default;
  };
  explicit KvImage(std::shared_ptr<SwapMemory> memory) : claim_(std::move(memory)) {}
  [[nodiscard]] Digest digest() const;

  std::uint32_t tokens_ = 0;
  std::vector<std::vector<std::byte>> pieces_;  // segments in the order of segments()
  Digest digest_;
  SwapClaim claim_;
};

}  // namespace sluice::decode
