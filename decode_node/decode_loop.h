#pragma once
// The decode node's engine loop: one thread that runs the scheduler's plan through the model, samples, and goes on.
//
// A leg's life: admit (blocks reserved) -> [KV arrives] -> mark_ready -> steps -> finished, or cancel at any time.
// Threading: public methods from any thread; one mutex guards scheduler, block allocator and legs, and is never held
// during a forward pass or sampling. Sink calls come from the engine thread, without the mutex.
// Failure: a leg whose logits cannot be sampled ends alone with its error; a failed forward ends every leg of the
// batch.
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/control/messages.h"
#include "engine/model/model.h"
#include "engine/policy/sampler.h"
#include "engine/policy/scheduler.h"

namespace sluice::decode {

/// What the loop tells the rest of the node.
class DecodeSink {
 public:
  virtual ~DecodeSink() = default;
  virtual void on_token(RequestId id, std::uint32_t index, const engine::Sampled& s, bool stop) = 0;
  virtual void on_finished(const control::Finished& f) = 0;
  /// Called once after each step's tokens, so that they can leave as one message.
  virtual void flush() = 0;
};

struct LegStart {
  RequestId id;
  std::vector<TokenId> tokens;  // prompt, then tokens to replay
  std::uint32_t prompt_tokens = 0;
  std::uint32_t kv_tokens = 0;  // positions whose KV arrives; 0: compute all here
  std::uint32_t max_new_tokens = 0;
  control::SamplingSpec sampling;
  std::int32_t priority = 0;
  std::uint32_t attempt = 0;  // told with the leg's end
  /// Shown the logits of the first sampled step, [vocab], as the model gave them, once its token is on its way. Engine
  /// thread.
  std::function<void(std::span<const float>)> on_first_logits{};
};

struct DecodeFigures {
  engine::SchedulerCounters counters;
  std::uint32_t legs = 0;
  double step_s = 0, step_batch = 0;  // EWMA over steps without prefill chunks
  std::uint64_t steps = 0, tokens = 0;
};

class DecodeLoop {
 public:
  /// step_s: what is known of a step at batch 1 before the first leg; 0 = nothing.
  DecodeLoop(engine::Model& model, engine::KvPool& pool, engine::PlanLimits limits, std::uint32_t max_legs,
             double step_s, DecodeSink& sink);
  ~DecodeLoop();

  /// Reserves room; resource_exhausted when there is none now. Returns the leg's blocks, one extra reference each when
  /// kv_tokens > 0, for the transfer that fills them; give them back with release_blocks().
  [[nodiscard]] Result<std::vector<engine::BlockHandle>> admit(LegStart leg);
  void mark_ready(RequestId id);
  /// Ends a leg without telling the sink. Returns the blocks it held, or nothing if it was not here.
  [[nodiscard]] std::optional<std::uint32_t> cancel(RequestId id);
  /// Ends a leg with an error that the sink is told.
  void fail(RequestId id, const Error& why);
  void cancel_all();
  void release_blocks(const std::vector<engine::BlockHandle>& blocks);
  [[nodiscard]] DecodeFigures figures() const;
  void stop();

 private:
  struct Leg;
  struct Row;  // one scheduled sequence, with copies that stay valid without the mutex
  void run();
  /// Ends a leg and forgets it; null if it was not here.
  [[nodiscard]] std::shared_ptr<Leg> drop(RequestId id);
  [[nodiscard]] std::vector<Row> next_rows();
  void step(std::vector<Row>& rows);
  void deliver(Row& row, Result<engine::Sampled> sampled);
  void end(const std::shared_ptr<Leg>& leg, const std::string& reason, std::optional<Error> error);
  void measure(const std::vector<Row>& rows, Duration took);
  void show_logits();

  engine::Model& model_;
  engine::KvPool& pool_;
  engine::PlanLimits limits_;
  std::uint32_t max_legs_;
  DecodeSink& sink_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  engine::BlockAllocator blocks_;
  engine::Scheduler scheduler_;
  std::unordered_map<RequestId, std::shared_ptr<Leg>> legs_;
  std::uint64_t arrivals_ = 0;
  double step_s_ = 0, step_batch_ = 0;
  std::uint64_t steps_ = 0, tokens_ = 0;

  // Engine thread only.
  std::vector<float> logits_;
  std::vector<std::pair<std::shared_ptr<Leg>, std::size_t>> shown_;  // legs to show their logits, and where those lie
  std::thread thread_;
};

}  // namespace sluice::decode
