#pragma once
// What both engine loops stand on: the model, the KV blocks and their scheduler, the mutex that guards these and the
// loop's own tables, and the engine thread.
//
//   any thread     Held held = core.hold();  held.scheduler().admit(...)   -> wake()
//   engine thread  hold() -> plan() or wait() -> [mutex free] forward() -> hold() -> settle()
//
// A loop owns one core and passes Held to what runs under the mutex, so that a missing lock does not compile.
// Life: construct -> start(body) once everything that body touches exists -> stop(), before any of it goes. body
// returns once stopping() is true; wait() returns then, too. Threading: public methods from any thread; forward() from
// the engine thread, never while it has a Held. A wakeup is never lost: whoever changes what a waiting engine thread
// looks at does it under the mutex, and wakes after that.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "engine/model/model.h"
#include "engine/policy/prefix_cache.h"
#include "engine/policy/scheduler.h"

namespace sluice::node {

/// One sequence's part of a pass, with copies that stay valid without the mutex.
struct PassRow {
  engine::Work work;
  std::vector<TokenId> tokens;
  std::vector<BlockId> blocks;
  engine::RowLogits* rows = nullptr;  // as ForwardSeq has it
};

/// Whether the engine thread goes on: `turns` moves with each layer, pass and look for work.
struct EnginePulse {
  std::uint64_t turns = 0;
  bool computing = false;  // within a pass
};

/// What is to be done now.
struct PassPlan {
  std::vector<PassRow> rows;
  // Where sequences grow: as engine::Plan has them.
  std::vector<engine::Eviction> evictions;
  std::vector<engine::Return> returns;
};

class EngineCore {
 public:
  /// caches: blocks of ended sequences stay known by their prefixes' names.
  EngineCore(engine::Model& model, engine::KvPool& pool, const engine::PlanLimits& limits, bool caches = false);
  ~EngineCore();
  EngineCore(const EngineCore&) = delete;
  EngineCore& operator=(const EngineCore&) = delete;

  /// Holds the mutex for as long as it lives.
  class Held {
   public:
    explicit Held(EngineCore& core) : core_(core), lock_(core.mutex_) {}
    [[nodiscard]] engine::Scheduler& scheduler() noexcept { return core_.scheduler_; }
    /// Null: nothing is cached.
    [[nodiscard]] engine::PrefixCache* cache() noexcept { return core_.cache_ ? &*core_.cache_ : nullptr; }
    [[nodiscard]] bool stopping() const noexcept { return core_.stop_; }
    /// Arrival times are counted, not read: admission in one order is the same on every run.
    [[nodiscard]] TimePoint next_arrival() noexcept;
    /// One more reference of each block, e.g. for a transfer.
    void retain(std::span<const engine::BlockHandle> blocks);
    /// One reference less of each.
    void give_back(std::span<const engine::BlockHandle> blocks);
    /// No rows when there is nothing to compute now.
    [[nodiscard]] PassPlan plan();
    /// A planned row ran, or failed and is planned again.
    void settle(const engine::Work& work, bool ran);
    /// Gives the mutex up until somebody wakes the engine thread.
    void wait();
    /// Gives the mutex up for good.
    void release() { lock_.unlock(); }

   private:
    EngineCore& core_;
    std::unique_lock<std::mutex> lock_;
  };
  [[nodiscard]] Held hold() { return Held(*this); }
  void wake() { wake_.notify_one(); }

  void start(std::function<void()> body);
  void stop();

  /// Gives references back and wakes the engine thread, which may have waited for room.
  void release(const std::vector<engine::BlockHandle>& blocks);

  /// Runs a pass. logits becomes [rows that want them, vocab].
  [[nodiscard]] Result<> forward(std::span<const PassRow> rows, std::vector<float>& logits,
                                 engine::LayerObserver* observer);

  /// Never waits for the mutex.
  [[nodiscard]] EnginePulse pulse() const noexcept {
    return {turns_.load(std::memory_order_relaxed), computing_.load(std::memory_order_relaxed)};
  }

  // Constant after construction.
  [[nodiscard]] const engine::ModelConfig& config() const noexcept { return model_.config(); }
  [[nodiscard]] const engine::PlanLimits& limits() const noexcept { return limits_; }
  [[nodiscard]] std::uint32_t block_tokens() const noexcept { return scheduler_.block_tokens(); }
  [[nodiscard]] bool caches() const noexcept { return cache_.has_value(); }
  [[nodiscard]] std::uint32_t total_blocks() const noexcept { return pool_.shape().num_blocks; }
  [[nodiscard]] std::uint32_t blocks_for(std::uint32_t positions) const noexcept {
    return scheduler_.blocks_for(positions);
  }
  [[nodiscard]] bool knows(TokenId t) const noexcept {
    return t >= 0 && static_cast<std::uint32_t>(t) < config().vocab_size;
  }
  /// invalid_argument, of `tokens`, for an id outside the vocabulary.
  [[nodiscard]] Result<> check_vocabulary(std::span<const TokenId> tokens) const;

 private:
  class Pulsing;
  void turned() noexcept { turns_.fetch_add(1, std::memory_order_relaxed); }

  engine::Model& model_;
  engine::KvPool& pool_;
  const engine::PlanLimits limits_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  engine::BlockAllocator blocks_;
  std::optional<engine::PrefixCache> cache_;
  engine::Scheduler scheduler_;
  std::uint64_t arrivals_ = 0;
  std::atomic<std::uint64_t> turns_ = 0;
  std::atomic<bool> computing_ = false;
  std::thread thread_;
};

}  // namespace sluice::node
