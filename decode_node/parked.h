#pragma once
// Copies the KV of parked sequences out of the pool and back, one after another, on a thread of its own, so that the
// engine goes on with the others meanwhile. Measures how fast that is.
//
// Who has which image is the loop's (leg.h): an image lives as long as somebody holds it, in swap memory that is
// bounded. A copy is asked for once for each leg at a time, so the queue is bounded by the legs.
// Threading: any thread; own mutex, inside which nobody is called. `done` runs on the copier's thread. Stop: stop()
// waits for the copy under way and drops the others, untold. Failure: as KvImage.
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "decode_node/kv_image.h"
#include "node/kv/held_blocks.h"
#include "node/kv/rate_meter.h"

namespace sluice::decode {

using ImagePtr = std::shared_ptr<const KvImage>;

class Parked {
 public:
  struct Figures {
    std::uint64_t swap_used = 0, swap_limit = 0;
    double out_bps = 0, in_bps = 0;  // raw bytes per second, 0 = not measured
    double ratio = 0;                // raw bytes / bytes in swap memory, likewise
  };
  /// swap_bytes: 0 for none.
  Parked(engine::KvPool& pool, std::uint64_t swap_bytes);
  ~Parked();
  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;

  /// Nobody else writes these blocks, or frees them, until `done`.
  void copy_out(std::vector<engine::BlockHandle> blocks, std::uint32_t tokens,
                std::function<void(Result<ImagePtr>)> done);
  /// The lease is kept until the rows are written.
  void copy_in(ImagePtr image, node::BlocksLease blocks, std::function<void(const Result<>&)> done);

  [[nodiscard]] Figures figures() const;
  /// Of so many positions.
  [[nodiscard]] std::uint64_t raw_bytes(std::uint32_t tokens) const noexcept { return token_bytes_ * tokens; }
  void stop();

 private:
  void run();
  [[nodiscard]] Result<ImagePtr> image_of(std::span<const engine::BlockHandle> blocks, std::uint32_t tokens);
  void put_back(const ImagePtr& image, const node::BlocksLease& blocks,
                const std::function<void(const Result<>&)>& done);
  void enqueue(std::function<void()> job);

  engine::KvPool& pool_;
  const std::uint64_t token_bytes_;
  const std::unique_ptr<kv::CodecRegistry> codecs_;  // of this build: those of a profiles file may lack the lossless
  const kv::Codec* const codec_;                     // null: no rows of this shape can be swapped
  const std::shared_ptr<SwapMemory> memory_;
  kv::CodecScratch scratch_;  // the copier's

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stop_ = false;
  node::RateMeter out_, in_, ratio_;
  std::thread thread_;
};

}  // namespace sluice::decode
