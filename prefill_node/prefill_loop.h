#pragma once
// The prefill node's engine loop: one thread that computes prompts in chunks and tells the export, layer by layer,
// which KV is ready.
//
// A prompt's life: submit -> (waits for blocks) -> admitted -> chunks -> computed. The export holds its own references
// to the blocks, so the loop lets go as soon as the last chunk is computed. Prompts are admitted in order, between
// passes: whatever makes room (a release, a cancel, a pass that ends) need only wake the engine thread, and a request
// that comes again waits for the pass that its cancelled run is still part of.
// A prompt with a probe token has one position more. Once it is computed the loop keeps its blocks until run_probe(),
// which runs that token over the exact KV in a pass of its own (within a batch it could change where other prompts are
// cut), or until cancel(). The probe's own K and V go into the extra position, which no export covers.
// A rated prompt's rows have their logits read during its passes (PromptRater); the other prompts of a pass have the
// same bits, and none of that work, beside it.
// A prompt that comes with names of its prefixes starts behind the longest of them whose KV is there, and computes one
// position at least. The export hears of what was there at once, and of the rest by the same columns as ever: what
// leaves is what a cold run sends. Blocks are known to others from the end of the pass that computed them; a prompt
// that is cancelled leaves behind what it computed. A rated prompt needs the logits of all of its rows, so it takes no
// hit. Threading: public methods from any thread; the core's mutex guards the queue and the tables here too, never held
// during a forward pass. Sink calls come from the engine thread, without the mutex but for on_admitted.
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/control/messages.h"
#include "common/prefix/namer.h"
#include "node/loop/engine_core.h"
#include "node/loop/ewma.h"
#include "prefill_node/prompt_rater.h"

namespace sluice::prefill {

struct PromptTimes {
  double queue_s = 0;    // submitted until its first chunk began
  double compute_s = 0;  // wall time of the passes it was part of
  TimePoint begun{}, done{};
  std::uint32_t cached = 0;  // positions that were not computed: their KV was there
};

class PrefillSink {
 public:
  virtual ~PrefillSink() = default;
  /// The prompt has blocks: one extra reference each, for the export. Called before its first chunk, under the loop's
  /// mutex, so that it comes wholly before or after a cancel: it must not call the loop. tokens_per_s: as in
  /// PrefillFigures. False: the prompt is not wanted any more, and nothing was taken.
  [[nodiscard]] virtual bool on_admitted(RequestId id, const std::vector<engine::BlockHandle>& blocks,
                                         double tokens_per_s) = 0;
  /// Positions [first, first + count) of layer `layer` are in the pool.
  virtual void on_layer(RequestId id, std::uint32_t first, std::uint32_t count, std::uint32_t layer) = 0;
  /// What the model said of a rated prompt's tokens at positions [first, first + tokens.size()). Each once, in order,
  /// before on_computed; the last one is the token after the prompt.
  virtual void on_rated(RequestId id, std::uint32_t first, std::span<const engine::RatedToken> tokens) = 0;
  virtual void on_computed(RequestId id, const PromptTimes& times) = 0;
  virtual void on_failed(RequestId id, const Error& why) = 0;
  /// What the model says after the probe token: [vocab], valid during the call.
  virtual void on_probed(RequestId id, Result<std::span<const float>> logits) = 0;
};

struct Prompt {
  RequestId id;
  std::vector<TokenId> tokens;
  std::int32_t priority = 0;
  std::optional<TokenId> probe{};  // the token after; left out where there is no room for it
  std::optional<control::PromptRating> rating{};
  std::optional<prefix::PrefixKey> root{};  // what its prefixes are named with; nothing: none is looked for or kept
};

struct PrefillFigures {
  engine::SchedulerCounters counters;
  std::uint32_t waiting = 0;        // not admitted yet
  std::uint64_t queued_tokens = 0;  // not computed yet, waiting ones included
  double tokens_per_s = 0;          // EWMA over passes
  std::uint64_t tokens = 0;
  node::EnginePulse pulse;
  engine::PrefixCacheCounters cache;
};

struct PrefillLoopOptions {
  std::size_t max_waiting = 1024;
  double tokens_per_s = 0;  // what is known of this node's speed before the first prompt; 0 = nothing
  bool prefix_cache = true;
};

class PrefillLoop {
 public:
  PrefillLoop(engine::Model& model, engine::KvPool& pool, engine::PlanLimits limits, const PrefillLoopOptions& o,
              PrefillSink& sink);
  ~PrefillLoop();
  /// resource_exhausted when too many wait; invalid_argument when the prompt can never fit.
  [[nodiscard]] Result<> submit(Prompt p);
  /// True if the prompt was here. Its probe, if it waits for one, is dropped too.
  bool cancel(RequestId id);
  /// Runs the probe of a computed prompt; on_probed follows. False when there is none.
  bool run_probe(RequestId id);
  /// Those of one coordinator.
  void cancel_all(control::LegSpace of);
  /// Prompt tokens of all coordinators but this one that are not computed yet.
  [[nodiscard]] std::uint64_t queued_by_others(control::LegSpace me) const;
  void release_blocks(const std::vector<engine::BlockHandle>& blocks) { core_.release(blocks); }
  [[nodiscard]] PrefillFigures figures() const;
  /// As PrefixCache has it; none ever without a cache.
  [[nodiscard]] engine::PrefixChanges prefixes_since(std::uint64_t from) const;
  void stop() { core_.stop(); }

 private:
  using Held = node::EngineCore::Held;
  using Names = std::vector<prefix::PrefixName>;  // after each full block of a prompt
  struct Running {
    TimePoint submitted{};
    std::optional<TimePoint> started;
    double compute_s = 0;
    std::uint32_t total = 0, left = 0, cached = 0;
    Names names;
    std::size_t published = 0;  // of them
    std::optional<TokenId> probe;
    std::optional<control::PromptRating> rating;
  };
  struct Waiting {
    Prompt prompt;
    TimePoint since;
    Names names;
  };
  /// A prompt that begins with KV that is there.
  struct Hit {
    RequestId id;
    std::uint32_t positions = 0;
  };
  class Observer;
  /// A computed prompt that keeps its blocks for a probe, with one reference each.
  struct Probe {
    RequestId id;
    TokenId token = 0;
    std::uint32_t position = 0;
    std::vector<engine::BlockHandle> blocks;
  };
  struct Pass {
    std::vector<node::PassRow> rows;
    std::vector<std::unique_ptr<PromptRater>> raters;  // one a row; null: not rated
  };
  struct Next {
    std::vector<Hit> hits;  // of the prompts admitted just now
    std::optional<Probe> probe;
    Pass pass;
  };
  void run();
  [[nodiscard]] Next next();
  [[nodiscard]] std::vector<Hit> admit_waiting(Held& held);
  /// False when there is no room.
  [[nodiscard]] bool admit(Held& held, Waiting& w, std::vector<Hit>& hits);
  [[nodiscard]] std::vector<engine::BlockHandle> cached_blocks(Held& held, const Waiting& w) const;
  [[nodiscard]] Names names_of(const Prompt& p) const;
  void tell(const Hit& hit);
  void publish(Held& held, RequestId id, Running& run, std::uint32_t computed);
  [[nodiscard]] std::unique_ptr<PromptRater> rater(Held& held, const engine::Work& work, const Running& run) const;
  void pass(const Pass& p);
  /// What a pass left of a prompt: PromptTimes once it is computed.
  [[nodiscard]] std::optional<PromptTimes> advance(Held& held, const engine::Work& work, Running& run);
  bool cancel_prompt(Held& held, RequestId id);
  void keep_for_probe(Held& held, RequestId id, TokenId token, std::uint32_t position);
  void probe(const Probe& p);

  mutable node::EngineCore core_;
  const std::size_t max_waiting_;
  PrefillSink& sink_;

  // Under the core's mutex.
  std::deque<Waiting> waiting_;
  std::unordered_map<RequestId, Running> running_;
  std::unordered_map<RequestId, Probe> kept_;  // computed, probe not asked for yet
  std::deque<Probe> due_;
  node::Ewma tokens_per_s_;
  std::uint64_t tokens_ = 0, queued_tokens_ = 0;

  std::vector<float> logits_;  // engine thread only
};

}  // namespace sluice::prefill
