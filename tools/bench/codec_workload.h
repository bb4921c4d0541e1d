#pragma once
// What the codec suite works on: KV shaped as Llama-3.1-8B's (8 KV heads of 128, bf16) in pages of 16 tokens that lie
// in random order, cut into frames as a transfer is. Everything is far larger than the caches.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/result.h"
#include "kvtransfer/codec/codecs.h"

namespace sluice::bench {

inline constexpr std::uint32_t kKvHeads = 8, kKvHeadDim = 128, kKvLayers = 32, kPageRows = 16;
inline constexpr std::size_t kChannels = std::size_t{kKvHeads} * kKvHeadDim;
inline constexpr std::size_t kRowBytes = 2 * kChannels;
/// K and V of all layers of 512 tokens: what a prefill computes at a time.
inline constexpr std::size_t kChunkBytes = 2 * kKvLayers * kRowBytes * 512;

/// One side's KV memory: blocks of 16 rows in random order, each (layer, kind) through its own page list.
class Store {
 public:
  Store(std::uint32_t layers, std::uint32_t tokens);
  void fill();
  [[nodiscard]] kv::ConstRows rows(const kv::SegmentShape& s) const;
  [[nodiscard]] kv::MutRows mutable_rows(const kv::SegmentShape& s);
  [[nodiscard]] std::span<std::byte> memory() noexcept { return memory_; }

 private:
  [[nodiscard]] std::size_t first_page(const kv::SegmentShape& s) const noexcept;
  std::size_t pages_per_plane_;
  std::vector<std::byte> memory_;
  std::vector<std::byte*> pages_;
  std::vector<const std::byte*> const_pages_;
};

struct Encoded {
  kv::SegmentShape shape;
  std::size_t at = 0, size = 0;
};

/// One chunk of prompt, cut into frames as a transfer would be. Holds as many of the layers as fit 256 MiB.
struct Workload {
  explicit Workload(std::uint32_t token_count);
  std::uint32_t tokens, layers;
  Store source, target;
  std::size_t raw_bytes;
  std::vector<std::byte> wire;
  std::size_t frames = 0;
  std::vector<Encoded> segments;

  void copy();  // memcpy of all of source to target
  /// Bytes of all segments' blobs.
  [[nodiscard]] Result<std::size_t> encode(const kv::Codec& c, kv::CodecScratch& scratch);
  [[nodiscard]] Result<> decode(const kv::Codec& c, kv::CodecScratch& scratch);
};

/// Means of the workload's channels, for profiles that are calibrated.
[[nodiscard]] kv::CalibrationPtr workload_calibration();

}  // namespace sluice::bench
