#pragma once
// Threads that work off frames as they arrive, in order of arrival, each with its own scratch.
// Threading: push() from any thread; it only queues. The receiver's staging memory bounds what is queued. stop() lets
// the workers finish what is queued; what is pushed later is dropped.
#include <algorithm>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "kvtransfer/flow/staging.h"
#include "node/ingest/bounded_queue.h"
#include "node/ingest/frame_decoder.h"

namespace sluice::node {

struct ArrivedFrame {
  kv::ConnId conn;
  std::vector<std::byte> header;
  kv::StagingBuffer payload;
};

class DecodePool {
 public:
  using Handle = std::function<void(ArrivedFrame&, DecodeScratch&)>;
  DecodePool(unsigned workers, Handle handle) : handle_(std::move(handle)) {
    for (unsigned i = 0; i < std::max(workers, 1U); ++i) workers_.emplace_back([this] { work(); });
  }
  ~DecodePool() { stop(); }
  DecodePool(const DecodePool&) = delete;
  DecodePool& operator=(const DecodePool&) = delete;

  void push(ArrivedFrame f) {
    const std::size_t bytes = f.payload.bytes().size();
    (void)queue_.push(std::move(f), bytes);
  }
  void stop() {
    queue_.close();
    for (auto& t : workers_)
      if (t.joinable()) t.join();
  }

 private:
  void work() {
    DecodeScratch scratch;
    while (auto f = queue_.pop()) handle_(*f, scratch);
  }

  /// Only has to be larger than any staging memory.
  static constexpr std::size_t kQueueBytes = std::size_t{1} << 40;

  Handle handle_;
  BoundedQueue<ArrivedFrame> queue_{kQueueBytes};
  std::vector<std::thread> workers_;
};

}  // namespace sluice::node
