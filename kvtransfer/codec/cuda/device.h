#pragma once
// Owned things of a device: memory, a stream, a captured graph. For this room, its tests and the benchmark, which do
// not see CUDA's headers.
//
// Failure: resource_exhausted where memory is short, internal for any other CUDA error. Not for the data path: all of
// it may wait for the device.
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/result.h"

struct CUstream_st;
struct CUgraphExec_st;

namespace sluice::kv::cuda {

class DeviceMemory {
 public:
  DeviceMemory() = default;
  /// n bytes on the current device, aligned to 256; null for none.
  [[nodiscard]] static Result<DeviceMemory> allocate(std::size_t n);
  /// The same, with a copy of some of the host's.
  [[nodiscard]] static Result<DeviceMemory> copy_of(std::span<const std::byte> from);
  DeviceMemory(DeviceMemory&& o) noexcept;
  DeviceMemory& operator=(DeviceMemory&& o) noexcept;
  ~DeviceMemory();
  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] Result<> write(std::span<const std::byte> from);
  /// Waits for all that the device has to do.
  [[nodiscard]] Result<std::vector<std::byte>> read() const;

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

class Stream {
 public:
  [[nodiscard]] static Result<Stream> create();
  Stream(Stream&& o) noexcept;
  Stream& operator=(Stream&&) = delete;
  ~Stream();
  [[nodiscard]] CUstream_st* get() const noexcept { return stream_; }
  [[nodiscard]] Result<> wait() const;

 private:
  explicit Stream(CUstream_st* s) noexcept : stream_(s) {}
  CUstream_st* stream_;
};

/// Puts a copy of all of `from` on the stream; `to` is as long at least.
[[nodiscard]] Result<> copy_async(const DeviceMemory& to, const DeviceMemory& from, const Stream& stream);

/// What was put on a stream, to be put there again as a whole.
class Graph {
 public:
  [[nodiscard]] static Result<Graph> capture(const Stream& stream, const std::function<Result<>()>& work);
  Graph(Graph&& o) noexcept;
  Graph& operator=(Graph&&) = delete;
  ~Graph();
  [[nodiscard]] Result<> launch(const Stream& stream) const;
  /// Seconds of one launch, by events on the device, the median of `rounds` after one to warm up.
  [[nodiscard]] Result<double> seconds(const Stream& stream, std::size_t rounds) const;

 private:
  explicit Graph(CUgraphExec_st* g) noexcept : graph_(g) {}
  CUgraphExec_st* graph_;
};

}  // namespace sluice::kv::cuda
