#pragma once
// A chunk's KV to the wire's bytes and back on the GPU: the bytes of the host's codecs, all layers and both kinds in
// one launch (encoding split4: two; rANS: three or four, and two to decode).
//
// Calls only put work on the caller's stream: no waiting, no allocation, so they can be captured in a CUDA graph, whose
// pointers stay those of the capture. Threading: const methods are thread-safe; calls that run at the same time need
// workspaces of their own. Device memory is that of the device that was current at create(); all of it is aligned
// to 16.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/result.h"
#include "kvtransfer/codec/cuda/layout.h"
#include "kvtransfer/codec/cuda/plan.h"

struct CUstream_st;
using cudaStream_t = CUstream_st*;

namespace sluice::kv::cuda {

/// Devices that the kernels run on (compute capability 8.0 and up); 0 without a driver.
[[nodiscard]] int device_count() noexcept;

class ChunkCodec {
 public:
  /// Copies the plan to the current device: the one call that allocates and waits.
  [[nodiscard]] static Result<ChunkCodec> create(ChunkPlan plan);
  ChunkCodec(ChunkCodec&&) noexcept;
  ChunkCodec& operator=(ChunkCodec&&) noexcept;
  ~ChunkCodec();

  /// Host-side sizes: plan().out_bytes for encode_async's out, plan().workspace_bytes for its workspace; where the
  /// blobs of segments without coded parts will be, and how long (plan().segment(i)).
  [[nodiscard]] const ChunkPlan& plan() const noexcept { return plan_; }

  /// rows: read. out: plan().out_bytes. blobs: [segments], on the device, written: where each segment's blob is in out.
  /// workspace: plan().workspace_bytes, may be null if that is 0; its content means nothing before and after.
  [[nodiscard]] Result<> encode_async(const PageTable& rows, std::byte* out, BlobRef* blobs, std::byte* workspace,
                                      cudaStream_t stream) const;
  /// in: in_bytes of which nothing is believed; blobs: [segments], on the device, likewise. error: one word on the
  /// device, 0 (DecodeError::none) once the stream is past the call if all was well; rows are unspecified otherwise,
  /// and nothing but rows is written in any case.
  [[nodiscard]] Result<> decode_async(const std::byte* in, std::size_t in_bytes, const BlobRef* blobs,
                                      const PageTable& rows, std::uint32_t* error, cudaStream_t stream) const;

 private:
  struct DeviceImage;
  ChunkCodec(ChunkPlan plan, std::unique_ptr<DeviceImage> image) noexcept;
  [[nodiscard]] Image image() const noexcept;
  ChunkPlan plan_;
  std::unique_ptr<DeviceImage> device_;
};

}  // namespace sluice::kv::cuda
