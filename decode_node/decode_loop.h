#pragma once
// The decode node's engine loop: one thread that runs the scheduler's plan through the model, samples, and goes on.
//
// A leg's life: admit (blocks reserved) -> [KV arrives] -> mark_ready -> steps -> finished, or cancel at any time. One
// whose answer is bound waits for what binds it (bind), too, in either order; one that comes from another node for the
// tokens that were made there meanwhile (go_on). A leg that is to go to another node (leave) tells of its rows as it
// goes on, and halts where it was told to, until it is cancelled or stays. One that must give up its blocks is parked
// (decode_loop_parked.cpp) until there is room; where its KV can be had in no way it ends as "preempted".
// Threading: public methods from any thread; the core's mutex guards the legs too, and is never held during a pass or
// sampling. Sink calls come without it, tokens from the engine thread. Failure: a leg whose logits cannot be sampled
// ends alone with its error; a failed forward ends every leg of the batch.
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/control/messages.h"
#include "decode_node/parked.h"
#include "decode_node/way_back.h"
#include "engine/policy/sampler.h"
#include "node/loop/engine_core.h"
#include "node/loop/ewma.h"

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

/// What a leg's KV came to. The loop does nothing with it but hand it back at the leg's end.
struct KvArrival {
  double decode_s = 0;  // busy time of seal check and codec
  std::uint64_t raw_bytes = 0, wire_bytes = 0;
  std::string changed_to;  // the other profile that some of it came under; empty: none
  bool lossless = true;    // nothing of it was lost on the way
};

/// When a leg came to be what. Nothing of what it did not reach.
struct LegTimes {
  TimePoint admitted{};
  std::optional<TimePoint> ready, first_token;
  TimePoint ended{};
  KvArrival kv;
  std::uint32_t tokens = 0;  // sampled here
  std::string reason;        // as Finished has it
  std::optional<Error> error;
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
  bool bound = false;         // bind() comes, and nothing runs before
  bool continues = false;     // go_on() brings what is missing of kv_tokens + 1 tokens, and nothing runs before
  bool grows = false;         // takes blocks as its positions come, where the loop lets it; it may be parked
  bool exact = false;         // all of its KV would have the same bits if it were computed here
  /// Shown the logits of the first sampled step, [vocab], as the model gave them, once its token is on its way. Engine
  /// thread.
  std::function<void(std::span<const float>)> on_first_logits{};
  /// Told once, when it has ended or was cancelled; without the mutex, from the thread that ended it.
  std::function<void(const LegTimes&)> on_end{};
};

/// A leg that begins to leave.
struct Leaving {
  std::uint32_t computed = 0;               // positions whose KV is in the pool
  std::vector<engine::BlockHandle> blocks;  // of all positions up to `stop`, one reference each: release_blocks()
};

/// What there is of a leg that leaves.
struct LegRows {
  std::uint32_t computed = 0;
  bool halted = false;
};

struct LeaveOrder {
  std::uint32_t stop = 0;   // it halts with this many positions and one token more, which has been sent
  std::uint32_t every = 1;  // positions between two reports
  /// Engine thread, without the mutex, after the step's tokens have left. The last one says that it has halted.
  std::function<void(const LegRows&)> on_rows{};
};

/// What legs of some coordinators hold.
struct HeldLegs {
  std::uint32_t blocks = 0, legs = 0;
  std::uint64_t prompt_tokens = 0;  // to be computed here, before their first token
};

/// What became of sequences that gave up their blocks.
struct PreemptionFigures {
  std::array<std::uint64_t, kWaysBack.size()> ways{};  // how often, by WayBack
  double parked_s = 0;                                 // of those that are back, all together
  Parked::Figures swap;
};

struct DecodeFigures {
  engine::SchedulerCounters counters;
  std::uint32_t legs = 0;
  double step_s = 0, step_batch = 0;  // EWMA over steps without prefill chunks
  double prompt_tokens_per_s = 0;     // EWMA over passes with prefill chunks, of their rows alone
  std::uint64_t prompt_tokens = 0;    // to be computed here, of legs without a token
  std::uint64_t steps = 0, tokens = 0;
  node::EnginePulse pulse;
  PreemptionFigures preempted;
};

struct LoopOptions {
  std::uint32_t max_legs = 0;
  bool grows = true;             // legs that may grow do
  std::uint64_t swap_bytes = 0;  // of the host's memory, for KV of those that are parked
};

class DecodeLoop {
 public:
  /// What is known before the first leg; 0 = nothing.
  struct Speeds {
    double step_s = 0;  // of a step at batch 1
    double prompt_tokens_per_s = 0;
  };
  DecodeLoop(engine::Model& model, engine::KvPool& pool, engine::PlanLimits limits, const LoopOptions& o,
             const Speeds& known, DecodeSink& sink);
  ~DecodeLoop();

  /// Reserves room; resource_exhausted when there is none now. Returns the leg's blocks, one extra reference each when
  /// kv_tokens > 0, for the transfer that fills them; give them back with release_blocks().
  [[nodiscard]] Result<std::vector<engine::BlockHandle>> admit(LegStart leg);
  void mark_ready(RequestId id, KvArrival kv = {});
  /// What binds the answer of a leg of this attempt; it was shown the tokens that the leg came with.
  void bind(RequestId id, std::uint32_t attempt, std::unique_ptr<engine::TokenConstraint> constraint);
  /// The tokens that a leg which continues was made elsewhere since it was admitted here. not_found: it is not here;
  /// already_exists: it has them; invalid_argument: not as many as are missing, or none of the vocabulary's.
  [[nodiscard]] Result<> go_on(RequestId id, std::uint32_t attempt, std::span<const TokenId> tokens);
  /// Whether it is here and go_on() is still to come.
  [[nodiscard]] bool awaits_tokens(RequestId id, std::uint32_t attempt) const;
  /// The leg leaves: what there is of it now; more comes as ordered. It is not parked meanwhile. not_found: it is not
  /// here, does not run yet, or is parked; already_exists: it leaves; stale: it has more tokens than `stop`;
  /// resource_exhausted: no blocks for the positions up to there.
  [[nodiscard]] Result<Leaving> leave(RequestId id, std::uint32_t attempt, LeaveOrder order);
  /// It does not leave after all, and goes on if it has halted. not_found: it is not here.
  [[nodiscard]] Result<> stay(RequestId id, std::uint32_t attempt);
  /// Ends a leg without telling the sink. Returns the blocks it held, or nothing if it was not here.
  [[nodiscard]] std::optional<std::uint32_t> cancel(RequestId id);
  /// Ends a leg with an error that the sink is told.
  void fail(RequestId id, const Error& why);
  /// Those of one coordinator.
  void cancel_all(control::LegSpace of);
  /// What the legs of all coordinators but this one hold.
  [[nodiscard]] HeldLegs held_by_others(control::LegSpace me) const;
  void release_blocks(const std::vector<engine::BlockHandle>& blocks) { core_.release(blocks); }
  [[nodiscard]] DecodeFigures figures() const;
  void stop();

 private:
  using Held = node::EngineCore::Held;
  struct Leg;
  using LegPtr = std::shared_ptr<Leg>;
  /// A pass's rows, and whose they are.
  struct Step {
    std::vector<node::PassRow> rows;
    std::vector<LegPtr> legs;
  };
  void run();
  /// A leg that was ended and forgotten, and the blocks it held.
  struct Dropped {
    LegPtr leg;  // null: it was not here
    std::uint32_t blocks = 0;
  };
  [[nodiscard]] Dropped drop(RequestId id);
  [[nodiscard]] static std::uint32_t blocks_of(Held& held, RequestId id);
  /// Nothing is awaited any more: it runs from now on, or its answer was whole when it came.
  void begin(Held held, const LegPtr& leg);
  [[nodiscard]] Step next();
  [[nodiscard]] Step step_of(std::vector<node::PassRow> rows);
  void step(const Step& s);
  void deliver(const LegPtr& leg, const Result<engine::Sampled>& sampled);
  /// A token of the leg's answer on its way; false once the leg has ended. One that no pass sampled (forced) is not
  /// taken where the leg is to halt, since that takes a pass whose last row is sampled.
  bool take(const LegPtr& leg, const engine::Sampled& token, bool forced = false);
  void end(const LegPtr& leg, const std::string& reason, std::optional<Error> error);
  static void tell_end(const Leg& leg, const std::string& reason, const std::optional<Error>& error);
  void measure(const Step& s, Duration took);
  void show_logits();
  [[nodiscard]] LegPtr find(RequestId id, std::uint32_t attempt) const;
  /// Begins it if nothing is awaited any more.
  void try_begin(Held held, const LegPtr& leg);
  void report_rows(const Step& s);

  // Legs that give up their blocks.
  /// Sees to those that the plan parks and brings back. Some end here for that, without the mutex (ending). True:
  /// another plan may find more.
  bool part(Held& held, const node::PassPlan& plan, std::vector<LegPtr>& ending);
  /// Under the mutex.
  [[nodiscard]] WayBack way_of(const Leg& leg, const engine::Eviction& e) const;
  void evicted(Held& held, const engine::Eviction& e);
  void copied_out(const LegPtr& leg, const engine::Eviction& e, Result<ImagePtr> image);
  void bring_back(Held& held, const LegPtr& leg, const engine::Return& r);
  void copied_in(const LegPtr& leg, const Result<>& copied);
  void recompute(Held& held, const LegPtr& leg);
  void is_back(Leg& leg);
  void count(WayBack way) { ++preempted_.ways[static_cast<std::size_t>(way)]; }
  void give_back(const LegPtr& leg);

  mutable node::EngineCore core_;
  const LoopOptions o_;
  DecodeSink& sink_;

  // Under the core's mutex.
  std::unordered_map<RequestId, LegPtr> legs_;
  node::Ewma step_s_, step_batch_, prompt_tokens_per_s_;
  std::uint64_t steps_ = 0, tokens_ = 0;
  PreemptionFigures preempted_;  // but for `swap`

  // Engine thread only.
  std::vector<float> logits_;
  std::vector<std::pair<LegPtr, std::size_t>> shown_;  // legs to show their logits, and where those lie

  Parked parked_;  // its thread is the first to go
};

}  // namespace sluice::decode
