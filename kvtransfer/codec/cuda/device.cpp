#include "kvtransfer/codec/cuda/device.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <utility>

namespace sluice::kv::cuda {
namespace {

Result<> check(cudaError_t e, std::string_view doing) {
  if (e == cudaSuccess) return {};
  return fail(Errc::internal, "CUDA, {}: {}", doing, cudaGetErrorString(e));
}

struct Event {
  cudaEvent_t event = nullptr;
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() {
    if (event != nullptr) cudaEventDestroy(event);
  }
};

}  // namespace

Result<DeviceMemory> DeviceMemory::allocate(std::size_t n) {
  DeviceMemory m;
  void* p = nullptr;
  if (n > 0)
    if (const cudaError_t e = cudaMalloc(&p, n); e != cudaSuccess)
      return fail(Errc::resource_exhausted, "no {} bytes of device memory: {}", n, cudaGetErrorString(e));
  m.data_ = static_cast<std::byte*>(p);
  m.size_ = n;
  return m;
}
Result<DeviceMemory> DeviceMemory::copy_of(std::span<const std::byte> from) {
  SLUICE_ASSIGN(DeviceMemory m, allocate(from.size()));
  SLUICE_TRY(m.write(from));
  return m;
}
DeviceMemory::DeviceMemory(DeviceMemory&& o) noexcept
    : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
DeviceMemory& DeviceMemory::operator=(DeviceMemory&& o) noexcept {
  std::swap(data_, o.data_);
  std::swap(size_, o.size_);
  return *this;
}
DeviceMemory::~DeviceMemory() {
  if (data_ != nullptr) cudaFree(data_);
}
Result<> DeviceMemory::write(std::span<const std::byte> from) {
  if (from.size() > size_) return fail(Errc::invalid_argument, "{} bytes into {} of a device", from.size(), size_);
  if (from.empty()) return {};
  return check(cudaMemcpy(data_, from.data(), from.size(), cudaMemcpyHostToDevice), "copying to the device");
}
Result<std::vector<std::byte>> DeviceMemory::read() const {
  std::vector<std::byte> to(size_);
  SLUICE_TRY(check(cudaDeviceSynchronize(), "waiting for the device"));
  if (size_ > 0)
    SLUICE_TRY(check(cudaMemcpy(to.data(), data_, size_, cudaMemcpyDeviceToHost), "copying from the device"));
  return to;
}

Result<Stream> Stream::create() {
  cudaStream_t s = nullptr;
  SLUICE_TRY(check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "making a stream"));
  return Stream(s);
}
Stream::Stream(Stream&& o) noexcept : stream_(std::exchange(o.stream_, nullptr)) {}
Stream::~Stream() {
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}
Result<> Stream::wait() const { return check(cudaStreamSynchronize(stream_), "waiting for a stream"); }

Result<> copy_async(const DeviceMemory& to, const DeviceMemory& from, const Stream& stream) {
  return check(cudaMemcpyAsync(to.data(), from.data(), from.size(), cudaMemcpyDeviceToDevice, stream.get()),
               "copying within the device");
}

Result<Graph> Graph::capture(const Stream& stream, const std::function<Result<>()>& work) {
  SLUICE_TRY(check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), "beginning a capture"));
  const Result<> done = work();
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream.get(), &graph);
  cudaGraphExec_t exec = nullptr;
  cudaError_t made = ended;
  if (done && ended == cudaSuccess) made = cudaGraphInstantiateWithFlags(&exec, graph, 0);
  if (graph != nullptr) cudaGraphDestroy(graph);
  SLUICE_TRY(done);
  SLUICE_TRY(check(made, "capturing a graph"));
  return Graph(exec);
}
Graph::Graph(Graph&& o) noexcept : graph_(std::exchange(o.graph_, nullptr)) {}
Graph::~Graph() {
  if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
}
Result<> Graph::launch(const Stream& stream) const {
  return check(cudaGraphLaunch(graph_, stream.get()), "launching a graph");
}
Result<double> Graph::seconds(const Stream& stream, std::size_t rounds) const {
  Event begin, end;
  SLUICE_TRY(check(cudaEventCreate(&begin.event), "making an event"));
  SLUICE_TRY(check(cudaEventCreate(&end.event), "making an event"));
  std::vector<double> all;
  for (std::size_t i = 0; i <= rounds; ++i) {
    SLUICE_TRY(check(cudaEventRecord(begin.event, stream.get()), "recording an event"));
    SLUICE_TRY(launch(stream));
    SLUICE_TRY(check(cudaEventRecord(end.event, stream.get()), "recording an event"));
    SLUICE_TRY(check(cudaEventSynchronize(end.event), "waiting for an event"));
    float ms = 0;
    SLUICE_TRY(check(cudaEventElapsedTime(&ms, begin.event, end.event), "timing"));
    if (i > 0) all.push_back(1e-3 * static_cast<double>(ms));
  }
  if (all.empty()) return 0.0;
  std::ranges::nth_element(all, all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2));
  return all[all.size() / 2];
}

}  // namespace sluice::kv::cuda
