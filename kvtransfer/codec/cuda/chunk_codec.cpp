#include "kvtransfer/codec/cuda/chunk_codec.h"

#include <cuda_runtime_api.h>

#include <utility>

#include "kvtransfer/codec/cuda/device.h"
#include "kvtransfer/codec/cuda/kernels.h"

namespace sluice::kv::cuda {
namespace {

Result<> check(int status, std::string_view doing) {
  if (status == cudaSuccess) return {};
  return fail(Errc::internal, "CUDA, {}: {}", doing, cudaGetErrorString(static_cast<cudaError_t>(status)));
}

std::uint8_t* bytes(std::byte* p) { return reinterpret_cast<std::uint8_t*>(p); }

}  // namespace

struct ChunkCodec::DeviceImage {
  DeviceMemory memory;
};

int device_count() noexcept {
  int found = 0, usable = 0;
  if (cudaGetDeviceCount(&found) != cudaSuccess) return 0;
  for (int i = 0; i < found; ++i) {
    int major = 0;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, i) == cudaSuccess && major >= 8) ++usable;
  }
  return usable;
}

ChunkCodec::ChunkCodec(ChunkPlan plan, std::unique_ptr<DeviceImage> image) noexcept
    : plan_(std::move(plan)), device_(std::move(image)) {}
ChunkCodec::ChunkCodec(ChunkCodec&&) noexcept = default;
ChunkCodec& ChunkCodec::operator=(ChunkCodec&&) noexcept = default;
ChunkCodec::~ChunkCodec() = default;

Result<ChunkCodec> ChunkCodec::create(ChunkPlan plan) {
  SLUICE_ASSIGN(DeviceMemory memory, DeviceMemory::copy_of(plan.bytes));
  SLUICE_TRY(check(prepare_kernels(), "preparing the codec's kernels"));
  auto image = std::make_unique<DeviceImage>(DeviceImage{std::move(memory)});
  return ChunkCodec(std::move(plan), std::move(image));
}

Image ChunkCodec::image() const noexcept {
  Image m = plan_.image;
  m.bytes = bytes(device_->memory.data());
  return m;
}

Result<> ChunkCodec::encode_async(const PageTable& rows, std::byte* out, BlobRef* blobs, std::byte* workspace,
                                  cudaStream_t stream) const {
  return check(launch_encode({image(), plan_.head_dim, rows, bytes(out), blobs, bytes(workspace)}, stream),
               "encoding a chunk");
}

Result<> ChunkCodec::decode_async(const std::byte* in, std::size_t in_bytes, const BlobRef* blobs,
                                  const PageTable& rows, std::uint32_t* error, cudaStream_t stream) const {
  const auto* from = reinterpret_cast<const std::uint8_t*>(in);
  return check(launch_decode({image(), plan_.head_dim, rows, from, in_bytes, blobs, error}, stream),
               "decoding a chunk");
}

}  // namespace sluice::kv::cuda
