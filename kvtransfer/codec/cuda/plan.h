#pragma once
// What the CUDA codec does with one chunk of KV, worked out once on the host per profile and shape: which heads of
// which segment are coded how, where their bytes go, and how many blocks and how much workspace that takes.
//
// A plan is a plain value; making one is pure and needs no GPU.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/result.h"
#include "kvtransfer/codec/cuda/layout.h"
#include "kvtransfer/codec/profile/spec.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::kv::cuda {

struct ChunkPlan {
  std::vector<std::byte> bytes;  // the image: what Image's offsets point into
  Image image;                   // image.bytes is null here
  std::uint32_t head_dim = 0;
  std::size_t out_bytes = 0;        // room for all blobs, each in a slot of its own
  std::size_t workspace_bytes = 0;  // of one call, encoding; decoding needs none
  std::size_t raw_bytes = 0;        // of all rows
  /// Where segment i's slot begins in the encoded buffer, how long it is at most, and whether it is always as long.
  [[nodiscard]] const Segment& segment(std::size_t i) const noexcept;
  [[nodiscard]] const Part& part(std::size_t i) const noexcept;
  [[nodiscard]] std::size_t segments() const noexcept { return image.segments; }
};

/// Segments: any, but all with the same heads, head_dim and number of rows that their pages need (see PageTable).
/// unsupported for what stays with the host: f32, head_dim other than 64 and 128, zstd, lz4, minmax, a transform in
/// front of other quantizers than lloyd and uniform, rANS with more than 16 levels, the codecs "raw" and "ll".
[[nodiscard]] Result<ChunkPlan> make_plan(const ProfileSpec& profile, std::span<const SegmentShape> segments);

}  // namespace sluice::kv::cuda
