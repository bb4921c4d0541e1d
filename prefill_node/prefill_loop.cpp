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

/// Passes each finished layer of a batch on, sequence by sequence and column by column: a pass may hold several columns
/// of a prompt, or the end of one of which the cache had the rest, and what leaves must not depend on that.
class PrefillLoop::Observer final : public engine::LayerObserver {
 public:
  Observer(PrefillSink& sink, const std::vector<node::PassRow>& rows, std::uint32_t column)
      : sink_(sink), rows_(rows), column_(column) {}
  void on_layer(std::uint32_t layer) override {
    for (const node::PassRow& r : rows_) {
      const std::uint32_t end = r.work.first + r.work.count;
      for (std::uint32_t at = r.work.first / column_ * column_; at < end; at += std::min(column_, end - at))
        sink_.on_layer(r.work.id, at, std::min(column_, end - at), layer);
    }
  }

 private:
  PrefillSink& sink_;
  const std::vector<node::PassRow>& rows_;
  std::uint32_t column_;
};

PrefillLoop::PrefillLoop(engine::Model& model, engine::KvPool& pool, engine::PlanLimits limits,
                         const PrefillLoopOptions& o, PrefillSink& sink)
    : core_(model, pool, in_order(limits), o.prefix_cache),
      max_waiting_(o.max_waiting),
      sink_(sink),
      tokens_per_s_(kEwma, o.tokens_per_s) {
  core_.start([this] { run(); });
}

PrefillLoop::~PrefillLoop() { stop(); }

Result<> PrefillLoop::submit(Prompt p) {
  const std::uint32_t most = core_.config().max_position;
  if (p.tokens.size() > most)
    return fail(Errc::invalid_argument, "{} tokens exceed the context of {}", p.tokens.size(), most);
  SLUICE_TRY(core_.check_vocabulary(p.tokens));
  const auto total = static_cast<std::uint32_t>(p.tokens.size());
  const auto need = core_.blocks_for(total);
  if (need > core_.total_blocks())
    return fail(Errc::invalid_argument, "a prompt of {} tokens needs {} KV blocks; this prefill node has {}",
                p.tokens.size(), need, core_.total_blocks());
  const bool room = total < most && core_.blocks_for(total + 1) <= core_.total_blocks();
  if (p.probe && (!room || !core_.knows(*p.probe))) p.probe.reset();
  if (p.rating && !core_.knows(p.rating->last))
    return fail_param("prompt_logprobs", "token id {} is not in the vocabulary", p.rating->last);
  Names names = names_of(p);
  {
    const Held held = core_.hold();
    if (held.stopping()) return fail(Errc::unavailable, "the node stops");
    if (waiting_.size() >= max_waiting_)
      return fail(Errc::resource_exhausted, "{} prompts wait already", waiting_.size());
    const auto waits = [&](const Waiting& w) { return w.prompt.id == p.id; };
    if (running_.contains(p.id) || std::ranges::any_of(waiting_, waits))
      return fail(Errc::already_exists, "request {} is being computed", p.id);
    queued_tokens_ += p.tokens.size();
    waiting_.push_back({std::move(p), SteadyClock().now(), std::move(names)});
  }
  core_.wake();
  return {};
}

/// The root is the key of their chain: it tells owners apart, and tokens alone make names of it.
PrefillLoop::Names PrefillLoop::names_of(const Prompt& p) const {
  Names names;
  if (p.root && core_.caches()) prefix::PrefixNamer(*p.root).append_names({}, p.tokens, core_.block_tokens(), names);
  return names;
}

/// Admits waiting prompts in order while blocks last. Between passes: nothing is in flight, so room is all that a
/// prompt can lack.
std::vector<PrefillLoop::Hit> PrefillLoop::admit_waiting(Held& held) {
  std::vector<Hit> hits;
  while (!waiting_.empty() && admit(held, waiting_.front(), hits)) waiting_.pop_front();
  return hits;
}

bool PrefillLoop::admit(Held& held, Waiting& w, std::vector<Hit>& hits) {
  engine::Scheduler& scheduler = held.scheduler();
  const Prompt& prompt = w.prompt;
  const auto total = static_cast<std::uint32_t>(prompt.tokens.size());
  const std::vector<BlockHandle> shared = cached_blocks(held, w);
  const auto cached = static_cast<std::uint32_t>(shared.size()) * core_.block_tokens();
  engine::SequenceSpec spec;
  spec.id = prompt.id;
  spec.tokens = prompt.tokens;
  spec.computed = cached;
  spec.max_total = total + (prompt.probe ? 1 : 0);
  spec.fill_to = total;
  spec.priority = prompt.priority;
  spec.arrival = held.next_arrival();
  spec.shared = shared;
  if (!scheduler.admit(std::move(spec))) {
    held.give_back(shared);
    return false;
  }
  const auto view = scheduler.view(prompt.id);
  const std::vector<BlockHandle> blocks(view->blocks.begin(), view->blocks.begin() + core_.blocks_for(total));
  if (!sink_.on_admitted(prompt.id, blocks, tokens_per_s_.value())) {
    (void)scheduler.cancel(prompt.id);
    queued_tokens_ -= total;
    return true;
  }
  held.retain(blocks);
  queued_tokens_ -= cached;
  if (!w.names.empty() && !prompt.rating) held.cache()->count(total, cached);
  if (cached > 0) hits.push_back({prompt.id, cached});
  running_.emplace(prompt.id, Running{.submitted = w.since,
                                      .total = total,
                                      .left = total - cached,
                                      .cached = cached,
                                      .names = std::move(w.names),
                                      .published = shared.size(),
                                      .probe = prompt.probe,
                                      .rating = prompt.rating});
  return true;
}

/// At least one position is left to compute.
std::vector<BlockHandle> PrefillLoop::cached_blocks(Held& held, const Waiting& w) const {
  const std::size_t most = (w.prompt.tokens.size() - 1) / core_.block_tokens();
  if (w.names.empty() || w.prompt.rating || most == 0) return {};
  return held.cache()->acquire(std::span(w.names).first(std::min(w.names.size(), most)));
}

/// Whole columns only: the last one is told of as its rest is computed.
void PrefillLoop::tell(const Hit& hit) {
  const std::uint32_t column = core_.limits().column();
  for (std::uint32_t at = 0; hit.positions - at >= column; at += column)
    for (std::uint32_t layer = 0; layer < core_.config().layers; ++layer) sink_.on_layer(hit.id, at, column, layer);
}

void PrefillLoop::publish(Held& held, RequestId id, Running& run, std::uint32_t computed) {
  const std::size_t full = std::min<std::size_t>(run.names.size(), computed / core_.block_tokens());
  if (full <= run.published) return;
  held.cache()->publish(std::span(run.names).first(full), held.scheduler().view(id)->blocks, run.published);
  run.published = full;
}

bool PrefillLoop::cancel(RequestId id) {
  std::vector<BlockHandle> kept;
  bool found = false;
  {
    Held held = core_.hold();
    if (const auto it = kept_.find(id); it != kept_.end()) {
      kept = std::move(it->second.blocks);
      kept_.erase(it);
    }
    found = cancel_prompt(held, id);
  }
  core_.wake();
  if (!kept.empty()) release_blocks(kept);
  return found;
}

bool PrefillLoop::cancel_prompt(Held& held, RequestId id) {
  if (const auto it = running_.find(id); it != running_.end()) {
    queued_tokens_ -= it->second.left;
    running_.erase(it);
    (void)held.scheduler().cancel(id);
    return true;
  }
  const auto it = std::ranges::find_if(waiting_, [&](const Waiting& w) { return w.prompt.id == id; });
  if (it == waiting_.end()) return false;
  queued_tokens_ -= it->prompt.tokens.size();
  waiting_.erase(it);
  return true;
}

void PrefillLoop::cancel_all(control::LegSpace of) {
  std::vector<RequestId> ids;
  {
    const Held held = core_.hold();
    for (const auto& [id, r] : running_) ids.push_back(id);
    for (const auto& w : waiting_) ids.push_back(w.prompt.id);
    for (const auto& [id, p] : kept_) ids.push_back(id);
  }
  std::erase_if(ids, [&](RequestId id) { return control::space_of(id) != of; });
  for (const RequestId id : ids) (void)cancel(id);
}

std::uint64_t PrefillLoop::queued_by_others(control::LegSpace me) const {
  std::uint64_t tokens = 0;
  const Held held = core_.hold();
  for (const auto& [id, r] : running_)
    if (control::space_of(id) != me) tokens += r.left;
  for (const auto& w : waiting_)
    if (control::space_of(w.prompt.id) != me) tokens += w.prompt.tokens.size();
  return tokens;
}

engine::PrefixChanges PrefillLoop::prefixes_since(std::uint64_t from) const {
  Held held = core_.hold();
  if (const auto* cache = held.cache()) return cache->changes_since(from);
  return {.next = from};
}

PrefillFigures PrefillLoop::figures() const {
  Held held = core_.hold();
  return {held.scheduler().counters(),
          static_cast<std::uint32_t>(waiting_.size()),
          queued_tokens_,
          tokens_per_s_.value(),
          tokens_,
          core_.pulse(),
          held.cache() != nullptr ? held.cache()->counters() : engine::PrefixCacheCounters{}};
}

void PrefillLoop::run() {
  while (true) {
    const Next n = next();
    for (const Hit& h : n.hits) tell(h);
    if (n.probe) {
      probe(*n.probe);
    } else if (!n.pass.rows.empty()) {
      pass(n.pass);
    } else {
      return;
    }
  }
}

/// What runs next; nothing once the loop stops. A probe's one row goes before prompts, of which there may be no end.
PrefillLoop::Next PrefillLoop::next() {
  Held held = core_.hold();
  while (!held.stopping()) {
    std::vector<Hit> hits = admit_waiting(held);  // whoever has one has rows to compute
    if (!due_.empty()) {
      Next n{std::move(hits), std::move(due_.front()), {}};
      due_.pop_front();
      return n;
    }
    if (Pass p{held.plan().rows, {}}; !p.rows.empty()) {
      const TimePoint now = SteadyClock().now();
      for (node::PassRow& r : p.rows) {
        Running& run = running_.at(r.work.id);
        if (!run.started) run.started = now;
        p.raters.push_back(run.rating ? rater(held, r.work, run) : nullptr);
        r.rows = p.raters.back().get();
      }
      return {std::move(hits), std::nullopt, std::move(p)};
    }
    held.wait();
  }
  return {};
}

std::unique_ptr<PromptRater> PrefillLoop::rater(Held& held, const engine::Work& work, const Running& run) const {
  const auto prompt = held.scheduler().view(work.id)->tokens;
  const std::uint32_t end = work.first + work.count;
  std::vector<TokenId> next(prompt.begin() + work.first + 1, prompt.begin() + std::min(end + 1, run.total));
  if (end == run.total) next.push_back(run.rating->last);
  return std::make_unique<PromptRater>(core_.config().vocab_size, work.first, std::move(next), run.rating->top);
}

void PrefillLoop::pass(const Pass& p) {
  const std::vector<node::PassRow>& rows = p.rows;
  std::uint32_t tokens = 0;
  for (const node::PassRow& r : rows) tokens += r.work.count;
  Observer observer(sink_, rows, core_.limits().column());
  const TimePoint begin = SteadyClock().now();
  const Result<> ran = core_.forward(rows, logits_, &observer);
  const double took = seconds(SteadyClock().now() - begin);
  std::vector<std::pair<RequestId, PromptTimes>> computed;
  std::vector<std::pair<RequestId, Error>> failed;
  std::vector<std::size_t> rated;
  {
    Held held = core_.hold();
    if (tokens >= kMinMeasuredTokens && took > 0) tokens_per_s_.add(tokens / took);
    tokens_ += tokens;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const node::PassRow& r = rows[i];
      const RequestId id = r.work.id;
      held.settle(r.work, ran.has_value());
      const auto it = running_.find(id);
      if (it == running_.end()) continue;  // cancelled meanwhile
      Running& run = it->second;
      run.compute_s += took;
      const PromptRater* rater = p.raters[i].get();
      const Result<>& outcome = ran && rater != nullptr ? rater->outcome() : ran;
      if (outcome && rater != nullptr) rated.push_back(i);
      if (ran) publish(held, id, run, r.work.first + r.work.count);
      if (!outcome) {
        failed.emplace_back(id, outcome.error());
        queued_tokens_ -= run.left;
      } else if (const auto times = advance(held, r.work, run)) {
        computed.emplace_back(id, *times);
      } else {
        continue;
      }
      (void)held.scheduler().finish(id);
      running_.erase(it);
    }
  }
  for (const std::size_t i : rated) sink_.on_rated(rows[i].work.id, p.raters[i]->first(), p.raters[i]->rated());
  for (const auto& [id, times] : computed) sink_.on_computed(id, times);
  for (const auto& [id, why] : failed) sink_.on_failed(id, why);
}

std::optional<PromptTimes> PrefillLoop::advance(Held& held, const engine::Work& work, Running& run) {
  run.left -= work.count;
  queued_tokens_ -= work.count;
  if (run.left > 0) return std::nullopt;
  if (run.probe) keep_for_probe(held, work.id, *run.probe, run.total);
  return PromptTimes{seconds(*run.started - run.submitted), run.compute_s, *run.started, SteadyClock().now(),
                     run.cached};
}

void PrefillLoop::keep_for_probe(Held& held, RequestId id, TokenId token, std::uint32_t position) {
  if (kept_.contains(id)) return;  // of an earlier run of the same request; one sample less
  Probe p{id, token, position, {}};
  const auto view = held.scheduler().view(id);
  p.blocks.assign(view->blocks.begin(), view->blocks.end());
  held.retain(p.blocks);
  kept_[id] = std::move(p);
}

bool PrefillLoop::run_probe(RequestId id) {
  {
    const Held held = core_.hold();
    const auto it = kept_.find(id);
    if (it == kept_.end()) return false;
    due_.push_back(std::move(it->second));
    kept_.erase(it);
  }
  core_.wake();
  return true;
}

void PrefillLoop::probe(const Probe& p) {
  node::PassRow row{{.id = p.id, .first = p.position, .count = 1, .wants_logits = true}, {p.token}, {}, nullptr};
  for (const BlockHandle& b : p.blocks) row.blocks.push_back(b.id);
  const Result<> ran = core_.forward({&row, 1}, logits_, nullptr);
  release_blocks(p.blocks);
  if (!ran) return sink_.on_probed(p.id, std::unexpected(ran.error()));
  sink_.on_probed(p.id, std::span<const float>(logits_));
}

}  // namespace sluice::prefill
