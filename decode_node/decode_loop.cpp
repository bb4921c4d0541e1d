#include "decode_node/decode_loop.h"

#include <algorithm>

#include "common/clock.h"
#include "common/log.h"

namespace sluice::decode {

using engine::BlockHandle;

namespace {

constexpr double kEwma = 0.1;

engine::SamplingParams to_params(const control::SamplingSpec& s, std::uint32_t max_new) {
  engine::SamplingParams p;
  p.temperature = s.temperature;
  p.top_k = s.top_k;
  p.top_p = s.top_p;
  p.min_p = s.min_p;
  p.repetition_penalty = s.repetition_penalty;
  p.presence_penalty = s.presence_penalty;
  p.frequency_penalty = s.frequency_penalty;
  for (const auto& [id, bias] : s.logit_bias) p.logit_bias[id] = bias;
  p.seed = s.seed;
  p.stop_token_ids = s.stop_token_ids;
  p.min_tokens = static_cast<std::uint32_t>(s.min_tokens);
  p.max_tokens = max_new;
  p.ignore_eos = s.ignore_eos;
  if (s.logprobs) p.logprobs = static_cast<std::uint32_t>(*s.logprobs);
  return p;
}

}  // namespace

struct DecodeLoop::Leg {
  RequestId id;
  std::uint32_t attempt = 0;
  engine::Sampler sampler;
  std::uint32_t blocks = 0;
  TimePoint ready{};
  double first_step_s = 0;
  bool ended = false;  // under the mutex
  std::function<void(std::span<const float>)> on_first_logits;
};

struct DecodeLoop::Row {
  engine::Work work;
  std::shared_ptr<Leg> leg;
  std::vector<TokenId> tokens;
  std::vector<BlockId> blocks;
};

DecodeLoop::DecodeLoop(engine::Model& model, engine::KvPool& pool, engine::PlanLimits limits, std::uint32_t max_legs,
                       double step_s, DecodeSink& sink)
    : model_(model),
      pool_(pool),
      limits_(limits),
      max_legs_(max_legs),
      sink_(sink),
      blocks_(pool.shape().num_blocks),
      scheduler_(blocks_, pool.shape().block_size),
      step_s_(step_s),
      step_batch_(step_s > 0 ? 1 : 0),
      thread_([this] { run(); }) {}

DecodeLoop::~DecodeLoop() { stop(); }

void DecodeLoop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Result<std::vector<BlockHandle>> DecodeLoop::admit(LegStart leg) {
  const engine::ModelConfig& c = model_.config();
  const std::uint64_t total = std::uint64_t{leg.prompt_tokens} + leg.max_new_tokens;
  if (total > c.max_position)
    return sluice::fail(Errc::invalid_argument, "{} prompt and {} output tokens exceed the context of {}",
                        leg.prompt_tokens, leg.max_new_tokens, c.max_position);
  const auto bad = std::ranges::find_if(
      leg.tokens, [&](TokenId t) { return t < 0 || static_cast<std::uint32_t>(t) >= c.vocab_size; });
  if (bad != leg.tokens.end())
    return fail_param("tokens", "token id {} is not in the vocabulary of {}", *bad, c.vocab_size);
  if (leg.tokens.size() >= total)
    return fail_param("tokens", "{} tokens leave nothing to generate within {}", leg.tokens.size(), total);

  const auto prompt = std::span(leg.tokens).first(leg.prompt_tokens);
  engine::SamplerContext context{.vocab = c.vocab_size, .eos_ids = c.eos, .fallback_seed = leg.sampling.seed};
  SLUICE_ASSIGN(auto sampler,
                engine::Sampler::create(to_params(leg.sampling, leg.max_new_tokens), std::move(context), prompt));
  for (const TokenId t : std::span(leg.tokens).subspan(leg.prompt_tokens)) sampler.accept(t);

  const std::lock_guard lock(mutex_);
  if (stop_) return sluice::fail(Errc::unavailable, "the node stops");
  if (legs_.size() >= max_legs_)
    return sluice::fail(Errc::resource_exhausted, "{} legs are running, the limit", max_legs_);
  engine::SequenceSpec spec;
  spec.id = leg.id;
  spec.tokens = std::move(leg.tokens);
  spec.computed = leg.kv_tokens;
  spec.max_total = static_cast<std::uint32_t>(total);
  spec.priority = leg.priority;
  spec.arrival = TimePoint(Duration(static_cast<Duration::rep>(++arrivals_)));
  spec.ready = leg.kv_tokens == 0;
  SLUICE_TRY(scheduler_.admit(std::move(spec)));
  const auto view = scheduler_.view(leg.id);
  std::vector<BlockHandle> held(view->blocks.begin(), view->blocks.end());
  if (leg.kv_tokens > 0) {
    for (const BlockHandle& b : held) SLUICE_TRY(blocks_.retain(b));
  }
  auto made = std::make_shared<Leg>(Leg{.id = leg.id,
                                        .attempt = leg.attempt,
                                        .sampler = std::move(sampler),
                                        .blocks = static_cast<std::uint32_t>(held.size()),
                                        .on_first_logits = std::move(leg.on_first_logits)});
  if (leg.kv_tokens == 0) {
    made->ready = SteadyClock().now();
    wake_.notify_one();
  }
  legs_.emplace(leg.id, std::move(made));
  return held;
}

void DecodeLoop::mark_ready(RequestId id) {
  const std::lock_guard lock(mutex_);
  const auto it = legs_.find(id);
  if (it == legs_.end()) return;  // cancelled while its last block was decoded
  it->second->ready = SteadyClock().now();
  if (auto r = scheduler_.mark_ready(id); !r)
    log::error("mark_ready failed", {{"leg", id}, {"why", r.error().message}});
  wake_.notify_one();
}

std::shared_ptr<DecodeLoop::Leg> DecodeLoop::drop(RequestId id) {
  const std::lock_guard lock(mutex_);
  const auto it = legs_.find(id);
  if (it == legs_.end()) return nullptr;
  auto leg = std::move(it->second);
  leg->ended = true;
  legs_.erase(it);
  if (auto r = scheduler_.cancel(id); !r) log::error("cancel failed", {{"leg", id}, {"why", r.error().message}});
  return leg;
}

std::optional<std::uint32_t> DecodeLoop::cancel(RequestId id) {
  const auto leg = drop(id);
  return leg ? std::optional(leg->blocks) : std::nullopt;
}

void DecodeLoop::fail(RequestId id, const Error& why) {
  const auto leg = drop(id);
  if (!leg) return;
  sink_.on_finished({.request = id, .attempt = leg->attempt, .reason = "error", .error = why});
  sink_.flush();
}

void DecodeLoop::cancel_all() {
  std::vector<RequestId> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, leg] : legs_) ids.push_back(id);
  }
  for (const RequestId id : ids) (void)cancel(id);
}

void DecodeLoop::release_blocks(const std::vector<BlockHandle>& blocks) {
  const std::lock_guard lock(mutex_);
  for (const BlockHandle& b : blocks)
    if (auto r = blocks_.release(b); !r) log::error("block release failed", {{"why", r.error().message}});
}

DecodeFigures DecodeLoop::figures() const {
  const std::lock_guard lock(mutex_);
  return {scheduler_.counters(), static_cast<std::uint32_t>(legs_.size()), step_s_, step_batch_, steps_, tokens_};
}

void DecodeLoop::run() {
  while (true) {
    std::vector<Row> rows = next_rows();
    if (rows.empty()) return;
    const auto begin = SteadyClock().now();
    step(rows);
    measure(rows, SteadyClock().now() - begin);
    sink_.flush();
    show_logits();
  }
}

/// After the step's tokens have left, so that looking costs no leg its TTFT.
void DecodeLoop::show_logits() {
  const std::size_t vocab = model_.config().vocab_size;
  for (const auto& [leg, at] : shown_) {
    leg->on_first_logits(std::span<const float>(logits_).subspan(at * vocab, vocab));
    leg->on_first_logits = nullptr;
  }
  shown_.clear();
}

/// Waits for work; empty once the loop stops.
std::vector<DecodeLoop::Row> DecodeLoop::next_rows() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    std::vector<Row> rows;
    for (const engine::Work& w : scheduler_.plan(limits_)) {
      const auto view = scheduler_.view(w.id);
      Row row{w, legs_.at(w.id), {}, {}};
      row.tokens.assign(view->tokens.begin() + w.first, view->tokens.begin() + w.first + w.count);
      for (const BlockHandle& b : view->blocks) row.blocks.push_back(b.id);
      rows.push_back(std::move(row));
    }
    if (!rows.empty()) return rows;
    wake_.wait(lock);
  }
  return {};
}

void DecodeLoop::step(std::vector<Row>& rows) {
  std::vector<engine::ForwardSeq> batch;
  std::size_t sampled = 0;
  for (const Row& r : rows) {
    batch.push_back({r.tokens, r.work.first, r.blocks, r.work.wants_logits});
    sampled += r.work.wants_logits ? 1 : 0;
  }
  const std::size_t vocab = model_.config().vocab_size;
  logits_.resize(sampled * vocab);
  const Result<> ran = model_.forward(batch, pool_, logits_, nullptr);
  std::size_t at = 0;
  for (Row& r : rows) {
    {
      const std::lock_guard lock(mutex_);
      const auto settled = ran ? scheduler_.commit(r.work) : scheduler_.abandon(r.work);
      if (!settled) log::error("step not settled", {{"leg", r.work.id}, {"why", settled.error().message}});
    }
    if (!ran) {
      end(r.leg, "error", ran.error());
    } else if (r.work.wants_logits) {
      if (r.leg->on_first_logits) shown_.emplace_back(r.leg, at);
      deliver(r, r.leg->sampler.sample(std::span(logits_).subspan(at++ * vocab, vocab)));
    }
  }
}

void DecodeLoop::deliver(Row& row, Result<engine::Sampled> sampled) {
  Leg& leg = *row.leg;
  if (!sampled) return end(row.leg, "error", sampled.error());
  std::uint32_t index = 0;
  std::optional<engine::StopReason> stop;
  {
    const std::lock_guard lock(mutex_);
    if (leg.ended) return;
    index = leg.sampler.output_tokens();
    leg.sampler.accept(sampled->token);
    stop = leg.sampler.stop_reason();
    if (auto r = scheduler_.append(leg.id, sampled->token); !r && !stop) stop = engine::StopReason::length;
    ++tokens_;
  }
  if (leg.first_step_s == 0) leg.first_step_s = seconds(SteadyClock().now() - leg.ready);
  const bool is_stop = stop && *stop != engine::StopReason::length;
  sink_.on_token(leg.id, index, *sampled, is_stop);
  if (stop) end(row.leg, is_stop ? "stop" : "length", std::nullopt);
}

void DecodeLoop::end(const std::shared_ptr<Leg>& leg, const std::string& reason, std::optional<Error> error) {
  {
    const std::lock_guard lock(mutex_);
    if (leg->ended) return;
    leg->ended = true;
    legs_.erase(leg->id);
    if (auto r = scheduler_.finish(leg->id); !r)
      log::error("finish failed", {{"leg", leg->id}, {"why", r.error().message}});
  }
  sink_.on_finished({.request = leg->id,
                     .attempt = leg->attempt,
                     .reason = reason,
                     .error = std::move(error),
                     .first_step_s = leg->first_step_s});
}

void DecodeLoop::measure(const std::vector<Row>& rows, Duration took) {
  const std::lock_guard lock(mutex_);
  ++steps_;
  if (std::ranges::any_of(rows, [](const Row& r) { return r.work.count != 1; })) return;
  const double s = seconds(took);
  const auto n = static_cast<double>(rows.size());
  step_s_ = step_s_ == 0 ? s : step_s_ + kEwma * (s - step_s_);
  step_batch_ = step_batch_ == 0 ? n : step_batch_ + kEwma * (n - step_batch_);
}

}  // namespace sluice::decode
