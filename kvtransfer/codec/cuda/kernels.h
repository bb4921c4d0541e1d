#pragma once
// The kernels behind a C++17 interface: what chunk_codec.cpp (C++23) and kernels.cu share. Nothing here waits for the
// device or allocates on it; errors are cudaError_t values.
#include "kvtransfer/codec/cuda/layout.h"

struct CUstream_st;

namespace sluice::kv::cuda {

struct EncodeCall {
  Image image;
  std::uint32_t head_dim;
  PageTable rows;
  std::uint8_t* out;
  BlobRef* blobs;
  std::uint8_t* workspace;
};
struct DecodeCall {
  Image image;
  std::uint32_t head_dim;
  PageTable rows;
  const std::uint8_t* in;
  std::uint64_t in_bytes;
  const BlobRef* blobs;
  std::uint32_t* error;
};

/// Once per process and device before the first launch: lets the kernels have the shared memory that they ask for.
[[nodiscard]] int prepare_kernels();
/// Fixed-rate plans: one launch. Others: [tables of measured rANS,] frames, fixed-rate parts and counts of split4,
/// [rANS blocks,] packing.
[[nodiscard]] int launch_encode(const EncodeCall& call, CUstream_st* stream);
/// Clears *error, then one launch, and one more for rANS.
[[nodiscard]] int launch_decode(const DecodeCall& call, CUstream_st* stream);

}  // namespace sluice::kv::cuda
