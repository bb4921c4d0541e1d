#include "decode_node/decode_loop.h"

#include <algorithm>

#include "common/log.h"
#include "decode_node/leg.h"

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

DecodeLoop::DecodeLoop(engine::Model& model, engine::KvPool& pool, engine::PlanLimits limits, const LoopOptions& o,
                       const Speeds& known, DecodeSink& sink)
    : core_(model, pool, limits),
      o_(o),
      sink_(sink),
      step_s_(kEwma, known.step_s),
      step_batch_(kEwma, known.step_s > 0 ? 1 : 0),
      prompt_tokens_per_s_(kEwma, known.prompt_tokens_per_s),
      parked_(pool, o.swap_bytes) {
  core_.start([this] { run(); });
}

DecodeLoop::~DecodeLoop() { stop(); }

/// Copies that end now find the core still there.
void DecodeLoop::stop() {
  core_.stop();
  parked_.stop();
}

Result<std::vector<BlockHandle>> DecodeLoop::admit(LegStart leg) {
  const engine::ModelConfig& c = core_.config();
  const std::uint64_t total = std::uint64_t{leg.prompt_tokens} + leg.max_new_tokens;
  if (total > c.max_position)
    return sluice::fail(Errc::invalid_argument, "{} prompt and {} output tokens exceed the context of {}",
                        leg.prompt_tokens, leg.max_new_tokens, c.max_position);
  SLUICE_TRY(core_.check_vocabulary(leg.tokens));
  const auto known = static_cast<std::uint32_t>(leg.tokens.size());
  const std::uint64_t begins_with = leg.continues ? std::uint64_t{leg.kv_tokens} + 1 : known;
  if (begins_with < known)
    return fail_param("kv_tokens", "{} positions of a sequence that moves are fewer than those of its {} tokens",
                      leg.kv_tokens, known);
  if (begins_with >= total)
    return fail_param("tokens", "{} tokens leave nothing to generate within {}", begins_with, total);

  const auto prompt = std::span(leg.tokens).first(leg.prompt_tokens);
  engine::SamplerContext context{.vocab = c.vocab_size, .eos_ids = c.eos, .fallback_seed = leg.sampling.seed};
  SLUICE_ASSIGN(auto sampler,
                engine::Sampler::create(to_params(leg.sampling, leg.max_new_tokens), std::move(context), prompt));
  for (const TokenId t : std::span(leg.tokens).subspan(leg.prompt_tokens)) sampler.accept(t);
  leg.tokens.resize(begins_with, leg.tokens.back());  // any token stands for those that go_on() brings

  Held held = core_.hold();
  if (held.stopping()) return sluice::fail(Errc::unavailable, "the node stops");
  if (legs_.size() >= o_.max_legs)
    return sluice::fail(Errc::resource_exhausted, "{} legs are running, the limit", o_.max_legs);
  engine::SequenceSpec spec;
  spec.id = leg.id;
  spec.tokens = std::move(leg.tokens);
  spec.computed = leg.kv_tokens;
  spec.max_total = static_cast<std::uint32_t>(total);
  spec.priority = leg.priority;
  spec.arrival = held.next_arrival();
  spec.ready = leg.kv_tokens == 0 && !leg.bound;
  spec.grows = leg.grows && o_.grows;
  SLUICE_TRY(held.scheduler().admit(std::move(spec)));
  const auto view = held.scheduler().view(leg.id);
  std::vector<BlockHandle> blocks(view->blocks.begin(), view->blocks.end());
  if (leg.kv_tokens > 0) held.retain(blocks);
  auto made = std::make_shared<Leg>(Leg{.id = leg.id,
                                        .attempt = leg.attempt,
                                        .sampler = std::move(sampler),
                                        .on_first_logits = std::move(leg.on_first_logits),
                                        .on_end = std::move(leg.on_end)});
  made->admitted = SteadyClock().now();
  if (leg.kv_tokens + 1 < leg.prompt_tokens) made->prompt_tokens = leg.prompt_tokens - leg.kv_tokens;
  made->replayed = made->sampler.output_tokens();
  made->exact = leg.exact;
  made->awaits_kv = leg.kv_tokens > 0;
  made->awaits_constraint = leg.bound;
  made->awaits_tokens = leg.continues;
  made->known = known;
  made->missing = static_cast<std::uint32_t>(begins_with) - known;
  if (!made->awaits_kv && !made->awaits_constraint && !made->awaits_tokens) {
    made->ready = SteadyClock().now();
    core_.wake();
  }
  legs_.emplace(leg.id, std::move(made));
  return blocks;
}

void DecodeLoop::mark_ready(RequestId id, KvArrival kv) {
  Held held = core_.hold();
  const auto it = legs_.find(id);
  if (it == legs_.end()) return;  // cancelled while its last block was decoded
  const LegPtr leg = it->second;
  leg->awaits_kv = false;
  leg->kv = std::move(kv);
  leg->exact &= leg->kv.lossless;
  try_begin(std::move(held), leg);
}

void DecodeLoop::bind(RequestId id, std::uint32_t attempt, std::unique_ptr<engine::TokenConstraint> constraint) {
  Held held = core_.hold();
  const auto it = legs_.find(id);
  if (it == legs_.end() || it->second->attempt != attempt || !it->second->awaits_constraint) return;
  const LegPtr leg = it->second;
  if (!std::ranges::all_of(leg->brought, [&](TokenId t) { return constraint->accept(t); })) {
    held.release();
    return fail(id, Error{Errc::internal, "the tokens of the answer so far are not what its grammar allows", {}});
  }
  leg->awaits_constraint = false;
  leg->sampler.bind(std::move(constraint));
  try_begin(std::move(held), leg);
}

void DecodeLoop::try_begin(Held held, const LegPtr& leg) {
  if (!leg->awaits_kv && !leg->awaits_constraint && !leg->awaits_tokens) begin(std::move(held), leg);
}

void DecodeLoop::begin(Held held, const LegPtr& leg) {
  leg->ready = SteadyClock().now();
  // Only a bound answer can be whole before anything is sampled: a grammar that wants no text, or a resumed leg whose
  // last token was sent when its node died.
  const bool whole = leg->sampler.bound() && leg->sampler.stop_reason();
  if (!whole) {
    if (auto r = held.scheduler().mark_ready(leg->id); !r)
      log::error("mark_ready failed", {{"leg", leg->id}, {"why", r.error().message}});
    core_.wake();
    return;
  }
  held.release();
  end(leg, "stop", std::nullopt);
  sink_.flush();
}

std::uint32_t DecodeLoop::blocks_of(Held& held, RequestId id) {
  const auto view = held.scheduler().view(id);
  return view ? static_cast<std::uint32_t>(view->blocks.size()) : 0;
}

DecodeLoop::Dropped DecodeLoop::drop(RequestId id) {
  Held held = core_.hold();
  const auto it = legs_.find(id);
  if (it == legs_.end()) return {};
  Dropped out{std::move(it->second), blocks_of(held, id)};
  out.leg->ended = true;
  legs_.erase(it);
  if (auto r = held.scheduler().cancel(id); !r) log::error("cancel failed", {{"leg", id}, {"why", r.error().message}});
  core_.wake();  // others may have waited for its blocks
  return out;
}

std::optional<std::uint32_t> DecodeLoop::cancel(RequestId id) {
  const auto [leg, blocks] = drop(id);
  if (!leg) return std::nullopt;
  tell_end(*leg, "cancelled", std::nullopt);
  return blocks;
}

/// The leg has ended: what is read here nobody writes any more.
void DecodeLoop::tell_end(const Leg& leg, const std::string& reason, const std::optional<Error>& error) {
  if (!leg.on_end) return;
  LegTimes t{.admitted = leg.admitted, .ended = SteadyClock().now(), .kv = leg.kv, .reason = reason, .error = error};
  if (leg.ready != TimePoint{}) t.ready = leg.ready;
  if (leg.first_step_s > 0) t.first_token = leg.ready + from_seconds(leg.first_step_s);
  t.tokens = leg.sampler.output_tokens() - leg.replayed;
  leg.on_end(t);
}

void DecodeLoop::fail(RequestId id, const Error& why) {
  const LegPtr leg = drop(id).leg;
  if (!leg) return;
  tell_end(*leg, "error", why);
  sink_.on_finished({.request = id, .attempt = leg->attempt, .reason = "error", .error = why});
  sink_.flush();
}

void DecodeLoop::cancel_all(control::LegSpace of) {
  std::vector<RequestId> ids;
  {
    const Held held = core_.hold();
    for (const auto& [id, leg] : legs_)
      if (control::space_of(id) == of) ids.push_back(id);
  }
  for (const RequestId id : ids) (void)cancel(id);
}

HeldLegs DecodeLoop::held_by_others(control::LegSpace me) const {
  HeldLegs out;
  Held held = core_.hold();
  for (const auto& [id, leg] : legs_) {
    if (control::space_of(id) == me) continue;
    out.blocks += blocks_of(held, id);
    out.prompt_tokens += leg->prompt_tokens_left();
    ++out.legs;
  }
  return out;
}

DecodeFigures DecodeLoop::figures() const {
  Held held = core_.hold();
  std::uint64_t prompt_tokens = 0;
  for (const auto& [id, leg] : legs_) prompt_tokens += leg->prompt_tokens_left();
  PreemptionFigures preempted = preempted_;
  preempted.swap = parked_.figures();
  return {held.scheduler().counters(),
          static_cast<std::uint32_t>(legs_.size()),
          step_s_.value(),
          step_batch_.value(),
          prompt_tokens_per_s_.value(),
          prompt_tokens,
          steps_,
          tokens_,
          core_.pulse(),
          preempted};
}

void DecodeLoop::run() {
  while (true) {
    const Step s = next();
    if (s.rows.empty()) return;
    const auto begin = SteadyClock().now();
    step(s);
    measure(s, SteadyClock().now() - begin);
    sink_.flush();
    report_rows(s);
    show_logits();
  }
}

/// After the step's tokens have left, so that looking costs no leg its TTFT.
void DecodeLoop::show_logits() {
  const std::size_t vocab = core_.config().vocab_size;
  for (const auto& [leg, at] : shown_) {
    leg->on_first_logits(std::span<const float>(logits_).subspan(at * vocab, vocab));
    leg->on_first_logits = nullptr;
  }
  shown_.clear();
}

/// Waits for work; empty once the loop stops.
DecodeLoop::Step DecodeLoop::next() {
  while (true) {
    Step s;
    std::vector<LegPtr> ending;
    {
      Held held = core_.hold();
      if (held.stopping()) return {};
      node::PassPlan plan = held.plan();
      const bool changed = part(held, plan, ending);
      s = step_of(std::move(plan.rows));
      if (s.rows.empty() && !changed) held.wait();
    }
    for (const LegPtr& leg : ending) give_back(leg);
    if (!s.rows.empty()) return s;
  }
}

DecodeLoop::Step DecodeLoop::step_of(std::vector<node::PassRow> rows) {
  Step s{std::move(rows), {}};
  for (const node::PassRow& r : s.rows) {
    const LegPtr& leg = s.legs.emplace_back(legs_.at(r.work.id));
    if (leg->prompt_tokens > 0 && leg->first_pass == TimePoint{}) leg->first_pass = SteadyClock().now();
  }
  return s;
}

void DecodeLoop::step(const Step& s) {
  const std::size_t vocab = core_.config().vocab_size;
  const Result<> ran = core_.forward(s.rows, logits_, nullptr);
  std::size_t at = 0;
  for (std::size_t i = 0; i < s.rows.size(); ++i) {
    const engine::Work& work = s.rows[i].work;
    const LegPtr& leg = s.legs[i];
    core_.hold().settle(work, ran.has_value());
    if (!ran) {
      end(leg, "error", ran.error());
    } else if (work.wants_logits) {
      if (leg->on_first_logits) shown_.emplace_back(leg, at);
      deliver(leg, leg->sampler.sample(std::span(logits_).subspan(at++ * vocab, vocab)));
    }
  }
}

/// Where what binds an answer leaves but one token, that comes without a pass of its own: it goes into the next pass
/// with what comes before and after it. So many at a time, since other legs wait meanwhile. Whoever wants
/// log-probabilities has each token's own pass.
void DecodeLoop::deliver(const LegPtr& leg, const Result<engine::Sampled>& sampled) {
  constexpr int kMostForced = 32;
  if (!sampled) return end(leg, "error", sampled.error());
  if (!take(leg, *sampled) || leg->sampler.params().logprobs) return;
  for (int i = 0; i < kMostForced; ++i) {
    const auto only = leg->sampler.forced();
    if (!only || !take(leg, {.token = *only, .logprob = {}, .top_logprobs = {}}, true)) return;
  }
}

bool DecodeLoop::take(const LegPtr& owner, const engine::Sampled& token, bool forced) {
  Leg& leg = *owner;
  std::uint32_t index = 0;
  std::optional<engine::StopReason> stop;
  {
    Held held = core_.hold();
    if (leg.ended) return false;
    if (forced && leg.leaving && held.scheduler().view(leg.id)->tokens.size() >= leg.leaving->stop) return false;
    index = leg.sampler.output_tokens();
    leg.sampler.accept(token.token);
    stop = leg.sampler.stop_reason();
    if (auto r = held.scheduler().append(leg.id, token.token); !r && !stop) stop = engine::StopReason::length;
    ++tokens_;
    if (leg.first_step_s == 0) leg.first_step_s = seconds(SteadyClock().now() - leg.ready);
  }
  const bool end_token = stop == engine::StopReason::eos || stop == engine::StopReason::stop_token;
  sink_.on_token(leg.id, index, token, end_token);
  if (stop) end(owner, *stop == engine::StopReason::length ? "length" : "stop", std::nullopt);
  return !stop;
}

void DecodeLoop::end(const LegPtr& leg, const std::string& reason, std::optional<Error> error) {
  {
    Held held = core_.hold();
    if (leg->ended) return;
    leg->ended = true;
    legs_.erase(leg->id);
    if (auto r = held.scheduler().finish(leg->id); !r)
      log::error("finish failed", {{"leg", leg->id}, {"why", r.error().message}});
  }
  tell_end(*leg, reason, error);
  sink_.on_finished({.request = leg->id,
                     .attempt = leg->attempt,
                     .reason = reason,
                     .error = std::move(error),
                     .first_step_s = leg->first_step_s,
                     .local_queue_s = leg->queued_s(),
                     .local_s = leg->prompt_s(),
                     .local_tokens = leg->prompt_tokens,
                     .swapped = leg->swapped,
                     .recomputed = leg->recomputed,
                     .parked_s = leg->parked_s});
}

DecodeLoop::LegPtr DecodeLoop::find(RequestId id, std::uint32_t attempt) const {
  const auto it = legs_.find(id);
  return it != legs_.end() && it->second->attempt == attempt ? it->second : nullptr;
}

void DecodeLoop::measure(const Step& s, Duration took) {
  const Held held = core_.hold();
  ++steps_;
  std::uint32_t of_prompts = 0;
  for (const node::PassRow& r : s.rows) of_prompts += r.work.count > 1 ? r.work.count : 0;
  // A short chunk tells more of the pass than of its rows.
  if (2 * of_prompts >= core_.limits().prefill_chunk) prompt_tokens_per_s_.add(of_prompts / seconds(took));
  if (of_prompts > 0) return;
  step_s_.add(seconds(took));
  step_batch_.add(static_cast<double>(s.rows.size()));
}

}  // namespace sluice::decode
