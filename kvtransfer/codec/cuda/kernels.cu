#include "kvtransfer/codec/cuda/kernels.h"

#include <cuda_runtime.h>

#include "kvtransfer/codec/cuda/pack.cuh"

namespace sluice::kv::cuda {
namespace {

/// Class X of the kernels' bodies (simt.h) on the device.
struct Device {
  __device__ __forceinline__ unsigned thread() const { return threadIdx.x; }
  __device__ __forceinline__ unsigned threads() const { return blockDim.x; }
  __device__ __forceinline__ unsigned lane() const { return threadIdx.x % 32; }
  __device__ __forceinline__ unsigned block() const { return blockIdx.x; }
  template <class T>
  __device__ __forceinline__ T shfl_xor(T v, unsigned mask) const {
    return __shfl_xor_sync(0xffffffffU, v, static_cast<int>(mask));
  }
  template <class T>
  __device__ __forceinline__ T shfl(T v, unsigned from) const {
    return __shfl_sync(0xffffffffU, v, static_cast<int>(from));
  }
  __device__ __forceinline__ unsigned ballot(bool v) const { return __ballot_sync(0xffffffffU, v); }
  __device__ __forceinline__ void sync_warp() const { __syncwarp(); }
  __device__ __forceinline__ void sync_block() const { __syncthreads(); }
  __device__ __forceinline__ void flag(std::uint32_t* word, DecodeError e) const {
    atomicCAS(word, 0U, static_cast<unsigned>(e));
  }
};

extern __shared__ __align__(16) unsigned char shared_memory[];
template <class T>
__device__ __forceinline__ T& shared_as() {
  return *reinterpret_cast<T*>(shared_memory);
}

template <int D>
__global__ void __launch_bounds__(kThreads, 2) encode_chunk_kernel(EncodeCall c) {
  Device x;
  encode_chunk<D>(x, c.image, c.rows, c.out, c.blobs, c.workspace, shared_as<Shared>());
}
template <int D>
__global__ void __launch_bounds__(32) measure_table_kernel(EncodeCall c) {
  Device x;
  measure_table<D>(x, c.image, c.rows, c.workspace, shared_as<RansShared>());
}
template <int D>
__global__ void __launch_bounds__(32) encode_rans_kernel(EncodeCall c) {
  Device x;
  encode_rans<D>(x, c.image, c.rows, c.out, c.workspace, shared_as<RansShared>());
}
template <int D>
__global__ void __launch_bounds__(kThreads) pack_chunk_kernel(EncodeCall c) {
  Device x;
  pack_chunk<D>(x, c.image, c.rows, c.out, c.blobs, c.workspace, shared_as<PackShared>());
}
template <int D>
__global__ void __launch_bounds__(kThreads, 2) decode_chunk_kernel(DecodeCall c) {
  Device x;
  decode_chunk<D>(x, c.image, c.rows, Encoded{c.in, c.in_bytes, c.blobs}, shared_as<Shared>(), c.error);
}
template <int D>
__global__ void __launch_bounds__(32) decode_rans_kernel(DecodeCall c) {
  Device x;
  decode_rans<D>(x, c.image, c.rows, Encoded{c.in, c.in_bytes, c.blobs}, shared_as<RansShared>(), c.error);
}

template <int D>
int encode_with(const EncodeCall& c, cudaStream_t stream) {
  const Image& m = c.image;
  if (m.measured_tables > 0) measure_table_kernel<D><<<m.measured_tables, 32, sizeof(RansShared), stream>>>(c);
  encode_chunk_kernel<D><<<m.tiles, kThreads, sizeof(Shared), stream>>>(c);
  if (m.rans_parts > 0) encode_rans_kernel<D><<<m.coded_blocks, 32, sizeof(RansShared), stream>>>(c);
  if (m.coded_blocks > 0)
    pack_chunk_kernel<D><<<m.segments + m.coded_blocks + m.moves, kThreads, sizeof(PackShared), stream>>>(c);
  return static_cast<int>(cudaGetLastError());
}

template <int D>
int decode_with(const DecodeCall& c, cudaStream_t stream) {
  const cudaError_t cleared = cudaMemsetAsync(c.error, 0, sizeof(*c.error), stream);
  if (cleared != cudaSuccess) return static_cast<int>(cleared);
  decode_chunk_kernel<D><<<c.image.tiles, kThreads, sizeof(Shared), stream>>>(c);
  if (c.image.rans_parts > 0) decode_rans_kernel<D><<<c.image.coded_blocks, 32, sizeof(RansShared), stream>>>(c);
  return static_cast<int>(cudaGetLastError());
}

/// As many of the rANS kernels' blocks on a multiprocessor as their shared memory allows.
template <class Kernel>
cudaError_t prefer_shared(Kernel kernel) {
  return cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared);
}
template <int D>
cudaError_t prepare() {
  for (const cudaError_t e : {prefer_shared(measure_table_kernel<D>), prefer_shared(encode_rans_kernel<D>),
                              prefer_shared(decode_rans_kernel<D>)})
    if (e != cudaSuccess) return e;
  return cudaSuccess;
}

static_assert(sizeof(RansShared) <= 48 * 1024 && sizeof(Shared) <= 48 * 1024, "more would have to be asked for");

}  // namespace

int prepare_kernels() {
  const cudaError_t e = prepare<64>();
  return static_cast<int>(e != cudaSuccess ? e : prepare<128>());
}
int launch_encode(const EncodeCall& c, CUstream_st* stream) {
  return c.head_dim == 64 ? encode_with<64>(c, stream) : encode_with<128>(c, stream);
}
int launch_decode(const DecodeCall& c, CUstream_st* stream) {
  return c.head_dim == 64 ? decode_with<64>(c, stream) : decode_with<128>(c, stream);
}

}  // namespace sluice::kv::cuda
