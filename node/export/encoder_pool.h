#pragma once
// Second stage of an export: threads that take jobs from the queue, encode and seal them, and hand them to the link.
//
// A job's bytes are in flight from pop() until the link is done with the payload; then the queue gets them back. What a
// frame did not need of its bound goes back once it is encoded. Payload memory is recycled within the queue's bound.
// Failure: a frame that cannot be built or sent breaks its export, which `broken` is told, from a worker's or the
// link's thread, without locks.
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "engine/kv_pool.h"
#include "kvtransfer/flow/buffer_pool.h"
#include "kvtransfer/wire/frame_io.h"
#include "node/export/export.h"
#include "node/export/link_queue.h"

namespace sluice::node {

using FrameQueue = LinkQueue<FrameJob>;

class EncoderPool {
 public:
  using Broken = std::function<void(const std::shared_ptr<Export>&, const Error&)>;
  EncoderPool(engine::KvPool& pool, const Clock& clock, const ExportOptions& o, FrameQueue& queue, FrameOut& out,
              Broken broken);
  ~EncoderPool();

  /// Returns payload memory that was not needed since the last call to the system.
  void release_unused() { payloads_.release_unused(); }
  /// Closes the queue and waits for the workers.
  void stop();

 private:
  void work();
  [[nodiscard]] Result<> encode(const FrameJob& job, kv::FrameScratch& scratch);

  engine::KvPool& pool_;
  const Clock& clock_;
  FrameQueue& queue_;
  FrameOut& out_;
  Broken broken_;
  kv::BufferPool payloads_;
  std::vector<std::thread> workers_;
};

}  // namespace sluice::node
