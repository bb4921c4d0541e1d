#include "decode_node/parked.h"

#include <pthread.h>

#include <utility>

#include "common/clock.h"
#include "node/kv/pool_layout.h"

namespace sluice::decode {

Parked::Parked(engine::KvPool& pool, std::uint64_t swap_bytes)
    : pool_(pool),
      token_bytes_(node::layout_of(pool.shape()).token_bytes()),
      codecs_(kv::make_registry()),
      codec_(KvImage::codec_for(*codecs_, pool.shape())),
      memory_(std::make_shared<SwapMemory>(codec_ == nullptr ? 0 : swap_bytes)) {
  thread_ = std::thread([this] {
    (void)::pthread_setname_np(::pthread_self(), "swap");
    run();
  });
}

Parked::~Parked() { stop(); }

void Parked::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  jobs_.clear();
}

void Parked::enqueue(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return;
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void Parked::run() {
  while (true) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
      if (stop_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

void Parked::copy_out(std::vector<engine::BlockHandle> blocks, std::uint32_t tokens,
                      std::function<void(Result<ImagePtr>)> done) {
  enqueue([this, blocks = std::move(blocks), tokens, done = std::move(done)] { done(image_of(blocks, tokens)); });
}

Result<ImagePtr> Parked::image_of(std::span<const engine::BlockHandle> blocks, std::uint32_t tokens) {
  if (codec_ == nullptr) return fail(Errc::unsupported, "no lossless codec carries this model's KV");
  const TimePoint begin = SteadyClock().now();
  SLUICE_ASSIGN(KvImage image, KvImage::of(*codec_, {pool_, blocks, tokens}, memory_, scratch_));
  const auto raw = static_cast<double>(raw_bytes(tokens));
  const std::lock_guard lock(mutex_);
  out_.add(raw, seconds(SteadyClock().now() - begin));
  ratio_.add(raw, static_cast<double>(image.bytes()));
  return std::make_shared<const KvImage>(std::move(image));
}

void Parked::copy_in(ImagePtr image, node::BlocksLease blocks, std::function<void(const Result<>&)> done) {
  enqueue([this, image = std::move(image), blocks = std::move(blocks), done = std::move(done)] {
    put_back(image, blocks, done);
  });
}

void Parked::put_back(const ImagePtr& image, const node::BlocksLease& blocks,
                      const std::function<void(const Result<>&)>& done) {
  const TimePoint begin = SteadyClock().now();
  const auto restored = image->restore(*codec_, {pool_, blocks->blocks(), image->tokens()}, scratch_);
  if (restored) {
    const std::lock_guard lock(mutex_);
    in_.add(static_cast<double>(raw_bytes(image->tokens())), seconds(SteadyClock().now() - begin));
  }
  done(restored);
}

Parked::Figures Parked::figures() const {
  const std::lock_guard lock(mutex_);
  return {memory_->used(), memory_->limit(), out_.rate(), in_.rate(), ratio_.rate()};
}

}  // namespace sluice::decode
