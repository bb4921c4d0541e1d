#include "prefill_node/prefill_loop.h"

#include <algorithm>

#include "common/log.h"

namespace sluice::prefill {

using engine::BlockHandle;

namespace {

constexpr double kEwma = 0.2;
/// Passes smaller than this say little about a node's prefill speed.
constexpr std::uint32_t kMinMeasuredTokens = 16;

/// A prompt's KV must come out the same whatever is computed beside it, so that a lossy leg can be resumed exactly.
engine::PlanLimits in_order(engine::PlanLimits l) {
  l.in_order = true;
  return l;
}

}  // namespace

struct PrefillLoop::Running {
  TimePoint submitted{};
  std::optional<TimePoint> started;
  double compute_s = 0;
  std::uint32_t total = 0, left = 0;
  std::optional<TokenId> probe;
};

struct PrefillLoop::Row {
  engine::Work work;
  std::vector<TokenId> tokens;
  std::vector<BlockId> blocks;
};

/// Passes each finished layer of a batch on, sequence by sequence and chunk by chunk: a pass may hold several chunks of
/// a prompt, and what leaves must not depend on that.
class PrefillLoop::Observer final : public engine::LayerObserver {
 public:
  Observer(PrefillSink& sink, const std::vector<Row>& rows, std::uint32_t chunk)
      : sink_(sink), rows_(rows), chunk_(std::max(chunk, 1U)) {}
  void on_layer(std::uint32_t layer) override {
    for (const Row& r : rows_)
      for (std::uint32_t done = 0; done < r.work.count; done += chunk_)
        sink_.on_layer(r.work.id, r.work.first + done, std::min(chunk_, r.work.count - done), layer);
  }

 private:
  PrefillSink& sink_;
  const std::vector<Row>& rows_;
  std::uint32_t chunk_;
};

PrefillLoop::PrefillLoop(engine::Model& model, engine::KvPool& pool, engine::PlanLimits limits, std::size_t max_waiting,
                         double tokens_per_s, PrefillSink& sink)
    : model_(model),
      pool_(pool),
      limits_(in_order(limits)),
      max_waiting_(max_waiting),
      sink_(sink),
      blocks_(pool.shape().num_blocks),
      scheduler_(blocks_, pool.shape().block_size),
      tokens_per_s_(tokens_per_s),
      thread_([this] { run(); }) {}

PrefillLoop::~PrefillLoop() { stop(); }

void PrefillLoop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Result<> PrefillLoop::submit(Prompt p) {
  const engine::ModelConfig& c = model_.config();
  if (p.tokens.size() > c.max_position)
    return fail(Errc::invalid_argument, "{} tokens exceed the context of {}", p.tokens.size(), c.max_position);
  const auto bad =
      std::ranges::find_if(p.tokens, [&](TokenId t) { return t < 0 || static_cast<std::uint32_t>(t) >= c.vocab_size; });
  if (bad != p.tokens.end())
    return fail_param("tokens", "token id {} is not in the vocabulary of {}", *bad, c.vocab_size);
  const auto total = static_cast<std::uint32_t>(p.tokens.size());
  const auto need = scheduler_.blocks_for(total);
  if (need > pool_.shape().num_blocks)
    return fail(Errc::invalid_argument, "a prompt of {} tokens needs {} KV blocks; this prefill node has {}",
                p.tokens.size(), need, pool_.shape().num_blocks);
  const bool room = p.tokens.size() < c.max_position && scheduler_.blocks_for(total + 1) <= pool_.shape().num_blocks;
  if (p.probe && (!room || *p.probe < 0 || static_cast<std::uint32_t>(*p.probe) >= c.vocab_size)) p.probe.reset();
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return fail(Errc::unavailable, "the node stops");
    if (waiting_.size() >= max_waiting_)
      return fail(Errc::resource_exhausted, "{} prompts wait already", waiting_.size());
    const auto waits = [&](const auto& w) { return w.first.id == p.id; };
    if (running_.contains(p.id) || std::ranges::any_of(waiting_, waits))
      return fail(Errc::already_exists, "request {} is being computed", p.id);
    queued_tokens_ += p.tokens.size();
    waiting_.emplace_back(std::move(p), SteadyClock().now());
  }
  wake_.notify_one();
  return {};
}

/// Admits waiting prompts in order while blocks last. Under the mutex, between passes: nothing is in flight, so room is
/// all that a prompt can lack.
void PrefillLoop::admit_waiting() {
  while (!waiting_.empty()) {
    auto& [prompt, since] = waiting_.front();
    const auto total = static_cast<std::uint32_t>(prompt.tokens.size());
    engine::SequenceSpec spec;
    spec.id = prompt.id;
    spec.tokens = prompt.tokens;
    spec.max_total = total + (prompt.probe ? 1 : 0);
    spec.fill_to = total;
    spec.priority = prompt.priority;
    spec.arrival = TimePoint(Duration(static_cast<Duration::rep>(++arrivals_)));
    if (!scheduler_.admit(std::move(spec))) return;
    const auto view = scheduler_.view(prompt.id);
    const std::vector<BlockHandle> held(view->blocks.begin(), view->blocks.begin() + scheduler_.blocks_for(total));
    if (sink_.on_admitted(prompt.id, held, tokens_per_s_)) {
      for (const BlockHandle& b : held) (void)blocks_.retain(b);
      auto r = std::make_shared<Running>();
      r->submitted = since;
      r->total = r->left = total;
      r->probe = prompt.probe;
      running_.emplace(prompt.id, std::move(r));
    } else {
      (void)scheduler_.cancel(prompt.id);
      queued_tokens_ -= total;
    }
    waiting_.pop_front();
  }
}

bool PrefillLoop::cancel(RequestId id) {
  std::vector<BlockHandle> kept;
  bool found = false;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = kept_.find(id); it != kept_.end()) {
      kept = std::move(it->second.blocks);
      kept_.erase(it);
    }
    found = cancel_prompt(id);
  }
  wake_.notify_one();
  if (!kept.empty()) release_blocks(kept);
  return found;
}

/// Under the mutex.
bool PrefillLoop::cancel_prompt(RequestId id) {
  if (const auto it = running_.find(id); it != running_.end()) {
    queued_tokens_ -= it->second->left;
    running_.erase(it);
    (void)scheduler_.cancel(id);
    return true;
  }
  const auto it = std::ranges::find_if(waiting_, [&](const auto& w) { return w.first.id == id; });
  if (it == waiting_.end()) return false;
  queued_tokens_ -= it->first.tokens.size();
  waiting_.erase(it);
  return true;
}

void PrefillLoop::cancel_all() {
  std::vector<RequestId> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, r] : running_) ids.push_back(id);
    for (const auto& [p, since] : waiting_) ids.push_back(p.id);
    for (const auto& [id, p] : kept_) ids.push_back(id);
  }
  for (const RequestId id : ids) (void)cancel(id);
}

void PrefillLoop::release_blocks(const std::vector<BlockHandle>& blocks) {
  {
    const std::lock_guard lock(mutex_);
    for (const BlockHandle& b : blocks)
      if (auto r = blocks_.release(b); !r) log::error("block release failed", {{"why", r.error().message}});
  }
  wake_.notify_one();
}

PrefillFigures PrefillLoop::figures() const {
  const std::lock_guard lock(mutex_);
  return {scheduler_.counters(), static_cast<std::uint32_t>(waiting_.size()), queued_tokens_, tokens_per_s_, tokens_};
}

void PrefillLoop::run() {
  while (true) {
    Next n = next();
    if (n.probe) {
      probe(*n.probe);
    } else if (!n.rows.empty()) {
      pass(n.rows);
    } else {
      return;
    }
  }
}

/// What runs next; nothing once the loop stops. A probe's one row goes before prompts, of which there may be no end.
PrefillLoop::Next PrefillLoop::next() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    admit_waiting();
    if (!due_.empty()) {
      Next n{std::move(due_.front()), {}};
      due_.pop_front();
      return n;
    }
    std::vector<Row> rows;
    const TimePoint now = SteadyClock().now();
    for (const engine::Work& w : scheduler_.plan(limits_)) {
      const auto view = scheduler_.view(w.id);
      Row row{w, {view->tokens.begin() + w.first, view->tokens.begin() + w.first + w.count}, {}};
      for (const BlockHandle& b : view->blocks) row.blocks.push_back(b.id);
      Running& r = *running_.at(w.id);
      if (!r.started) r.started = now;
      rows.push_back(std::move(row));
    }
    if (!rows.empty()) return {std::nullopt, std::move(rows)};
    wake_.wait(lock);
  }
  return {};
}

void PrefillLoop::pass(std::vector<Row>& rows) {
  std::vector<engine::ForwardSeq> batch;
  std::uint32_t tokens = 0;
  for (const Row& r : rows) {
    batch.push_back({r.tokens, r.work.first, r.blocks, false});
    tokens += r.work.count;
  }
  Observer observer(sink_, rows, limits_.prefill_chunk);
  const TimePoint begin = SteadyClock().now();
  const Result<> ran = model_.forward(batch, pool_, {}, &observer);
  const double took = seconds(SteadyClock().now() - begin);
  std::vector<std::pair<RequestId, PromptTimes>> computed;
  std::vector<RequestId> failed;
  {
    const std::lock_guard lock(mutex_);
    if (tokens >= kMinMeasuredTokens && took > 0) {
      const double rate = tokens / took;
      tokens_per_s_ = tokens_per_s_ == 0 ? rate : tokens_per_s_ + kEwma * (rate - tokens_per_s_);
    }
    tokens_ += tokens;
    for (const Row& r : rows) {
      const auto settled = ran ? scheduler_.commit(r.work) : scheduler_.abandon(r.work);
      if (!settled) log::error("pass not settled", {{"leg", r.work.id}, {"why", settled.error().message}});
      const auto it = running_.find(r.work.id);
      if (it == running_.end()) continue;  // cancelled meanwhile
      Running& run = *it->second;
      run.compute_s += took;
      if (!ran) {
        failed.push_back(r.work.id);
        queued_tokens_ -= run.left;
      } else {
        run.left -= r.work.count;
        queued_tokens_ -= r.work.count;
        if (run.left > 0) continue;
        computed.emplace_back(r.work.id, PromptTimes{seconds(*run.started - run.submitted), run.compute_s});
        if (run.probe) keep_for_probe(r.work.id, *run.probe, run.total);
      }
      (void)scheduler_.finish(r.work.id);
      running_.erase(it);
    }
  }
  for (const auto& [id, times] : computed) sink_.on_computed(id, times);
  for (const RequestId id : failed) sink_.on_failed(id, ran.error());
}

/// Under the mutex.
void PrefillLoop::keep_for_probe(RequestId id, TokenId token, std::uint32_t position) {
  if (kept_.contains(id)) return;  // of an earlier run of the same request; one sample less
  Probe p{id, token, position, {}};
  const auto view = scheduler_.view(id);
  p.blocks.assign(view->blocks.begin(), view->blocks.end());
  for (const BlockHandle& b : p.blocks) (void)blocks_.retain(b);
  kept_[id] = std::move(p);
}

bool PrefillLoop::run_probe(RequestId id) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = kept_.find(id);
    if (it == kept_.end()) return false;
    due_.push_back(std::move(it->second));
    kept_.erase(it);
  }
  wake_.notify_one();
  return true;
}

void PrefillLoop::probe(const Probe& p) {
  std::vector<BlockId> blocks;
  for (const BlockHandle& b : p.blocks) blocks.push_back(b.id);
  const engine::ForwardSeq row{std::span(&p.token, 1), p.position, blocks, true};
  logits_.resize(model_.config().vocab_size);
  const Result<> ran = model_.forward({&row, 1}, pool_, logits_, nullptr);
  release_blocks(p.blocks);
  if (!ran) return sink_.on_probed(p.id, std::unexpected(ran.error()));
  sink_.on_probed(p.id, std::span<const float>(logits_));
}

}  // namespace sluice::prefill
