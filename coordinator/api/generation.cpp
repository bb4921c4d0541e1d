#include "coordinator/api/generation.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <utility>

#include "coordinator/api/fingerprint.h"
#include "coordinator/api/openai_json.h"

namespace sluice::coordinator {

using nlohmann::json;

/// The events of one leg, on their way to the request they belong to.
class Generation::Sink final : public LegSink {
 public:
  Sink(std::shared_ptr<Generation> g, std::size_t choice) : generation_(std::move(g)), choice_(choice) {}
  void on_begin(const std::string& fingerprint) override { generation_->on_begin(choice_, fingerprint); }
  void on_tokens(std::span<const TokenEvent> tokens) override { generation_->on_tokens(choice_, tokens); }
  void on_prompt_logprobs(std::size_t first, std::span<const RatedToken> tokens) override {
    generation_->on_prompt_logprobs(choice_, first, tokens);
  }
  void on_finish(LegEnd end, const LegStats& stats) override { generation_->on_finish(choice_, end, stats); }
  void on_error(const Error& error, std::optional<Duration> retry_after) override {
    generation_->on_error(error, retry_after);
  }

 private:
  std::shared_ptr<Generation> generation_;
  std::size_t choice_;
};

namespace {

std::uint64_t random_seed() {
  thread_local std::mt19937_64 rng{std::random_device{}()};
  return rng() >> 1;  // fits a signed integer on its way through JSON
}

}  // namespace

Generation::Generation(Backend& backend, PromptExecutor& executor, Spec spec, std::shared_ptr<Responder> out)
    : backend_(backend), executor_(executor), spec_(std::move(spec)), out_(std::move(out)) {
  auto& p = spec_.prepared;
  auto& q = p.request;
  shape_ = std::move(p.shape);
  seeded_ = q.seed.has_value();
  if (!q.seed) q.seed = random_seed();
  choices_.resize(p.streams.size());
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    choices_[i].stream = std::move(p.streams[i]);
    choices_[i].parser = std::move(p.parsers[i]);
  }
  running_ = choices_.size();
  if (q.rates_prompt())
    for (const auto& prompt : p.prompts) rated_.push_back(std::make_shared<RatedPrompt>(RatedPrompt{prompt.ids, {}}));
}

Generation::~Generation() { settle(); }

void Generation::settle() {
  if (!spec_.lease) return;
  Usage used;
  // A leg that no token came of was refused, or cancelled before its prompt was computed.
  if (std::ranges::any_of(choices_, [](const Choice& c) { return !c.fingerprint.empty(); })) used = usage();
  spec_.lease->settle(used.prompt_tokens, used.completion_tokens);
}

void Generation::begin() {
  out_->on_disconnect([weak = weak_from_this()](Disconnect) {
    auto self = weak.lock();
    if (!self || self->over_) return;
    self->over_ = true;
    self->cancel_all(CancelReason::client_gone);
  });
  if (over_) return;  // it had gone while its prompt was read
  if (spec_.trace) spec_.trace->asked(request(), seeded_);
  if (request().stream)
    out_->keep_alive(shape_->keep_alive(), [weak = weak_from_this()] {
      if (auto self = weak.lock(); self && !self->over_) self->open_stream();
    });
  for (std::size_t i = 0; i < choices_.size(); ++i) start_leg(i);
}

void Generation::start_leg(std::size_t index) {
  const auto& q = request();
  auto& c = choices_[index];
  LegSpec leg;
  leg.request_id = spec_.request_id;
  if (spec_.lease) leg.tenant = spec_.lease->tenant();
  leg.cache_salt = q.cache_salt;
  leg.choice = static_cast<int>(index);
  leg.prompt = prompt_of(index).ids;
  leg.sampling = q.sampling;
  leg.sampling.max_tokens = prompt_of(index).max_tokens;
  leg.open_ended = !q.max_tokens;
  leg.sampling.seed = *q.seed + index % static_cast<std::size_t>(q.n);
  leg.seeded = seeded_;
  leg.profile = q.profile;
  leg.quality_budget = q.quality_budget;
  leg.mode = q.mode;
  leg.cut = q.local_from;
  leg.slo_class = q.slo_class;
  leg.slo_ttft = q.slo_ttft;
  leg.slo_tpot = q.slo_tpot;
  leg.priority = q.priority;
  leg.explained = q.explain;
  leg.received = spec_.received;
  if (spec_.trace) leg.trace = spec_.trace->parent();
  if (index % static_cast<std::size_t>(q.n) == 0) leg.prompt_logprobs = q.rates_prompt();
  c.leg = backend_.start(std::move(leg), std::make_shared<Sink>(shared_from_this(), index));
}

void Generation::cancel_all(CancelReason why) {
  for (auto& c : choices_)
    if (!c.ended) backend_.cancel(c.leg, why);
}

// ---- Events ----

void Generation::on_begin(std::size_t index, const std::string& fingerprint) {
  choices_[index].fingerprint = fingerprint;
}

void Generation::on_tokens(std::size_t index, std::span<const TokenEvent> tokens) {
  if (over_ || silent()) return;
  auto& c = choices_[index];
  auto delta = c.stream->push(tokens);
  bool cancel = delta.cancel;
  take(index, read(c, std::move(delta), false));
  if (cancel) backend_.cancel(c.leg, CancelReason::stop_string);
}

void Generation::on_prompt_logprobs(std::size_t index, std::size_t first, std::span<const RatedToken> tokens) {
  if (over_ || rated_.empty()) return;
  auto& all = rated_[index / static_cast<std::size_t>(request().n)]->tokens;
  all.resize(std::max(all.size(), first - 1 + tokens.size()));
  std::ranges::copy(tokens, all.begin() + static_cast<std::ptrdiff_t>(first - 1));
}

ChoiceDelta Generation::read(Choice& c, TokenStream::Delta delta, bool last) const {
  ChoiceDelta d;
  if (c.parser) {
    d.output = c.parser->push(delta.text);
    if (last) d.output.append(c.parser->finish());
  } else {
    d.output.content = std::move(delta.text);
  }
  d.tokens = std::move(delta.tokens);
  d.ids = std::move(delta.ids);
  return d;
}

void Generation::take(std::size_t index, ChoiceDelta delta) {
  auto& c = choices_[index];
  if (request().stream) {
    greet();
    const std::string written = shape_->delta(index, std::move(delta), state(c.fingerprint));
    if (!written.empty()) writer_->write(written);
    return;
  }
  c.output.add(std::move(delta.output));
  std::ranges::move(delta.tokens, std::back_inserter(c.tokens));
  c.ids.insert(c.ids.end(), delta.ids.begin(), delta.ids.end());
}

void Generation::on_finish(std::size_t index, LegEnd end, const LegStats& stats) {
  auto& c = choices_[index];
  c.ended = true;
  c.stats = stats;
  --running_;
  if (over_) return;
  auto delta = read(c, c.stream->finish(silent() && end == LegEnd::stop ? LegEnd::length : end), true);
  if (running_ == 0 && spec_.trace) tell_trace();
  if (request().stream) return send_last(index, std::move(delta));
  take(index, std::move(delta));
  if (running_ == 0) answer_whole();
}

void Generation::on_error(const Error& error, std::optional<Duration> retry_after) {
  if (over_) return;
  over_ = true;
  auto e = ApiError::from(error, retry_after);
  if (spec_.trace && writer_) spec_.trace->failed(error);
  if (writer_) {
    writer_->write(shape_->failed(e));
    writer_->finish();
  } else {
    out_->respond(shape_->refused(e));
  }
  cancel_all(CancelReason::sibling_error);  // the failed leg is no longer known to the backend, which ignores it
}

ChoiceEnd Generation::end_of(const Choice& c) const {
  return {c.stream->finish_reason().value_or(FinishReason::aborted), c.parser ? c.parser->calls() : 0,
          c.stream->stop_reason()};
}

std::string Generation::fingerprint_of_all() const {
  std::vector<std::string> each;
  for (const auto& c : choices_) each.push_back(c.fingerprint);
  return fingerprint_of(each);
}

Usage Generation::usage() const {
  Usage u;
  for (const auto& p : spec_.prepared.prompts) u.prompt_tokens += p.ids->size();
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    u.completion_tokens += static_cast<std::size_t>(choices_[i].stream->token_count());
    // A prompt counts once whatever n is, and so do its cached tokens.
    if (i % static_cast<std::size_t>(request().n) == 0)
      u.cached_tokens += static_cast<std::size_t>(choices_[i].stats.cached_tokens);
  }
  return u;
}

json Generation::explain() const {
  json j = explain_json(choices_[0].stats);
  if (choices_.size() > 1) {
    auto& all = j["choices"] = json::array();
    for (const auto& c : choices_) all.push_back(explain_json(c.stats));
  }
  return j;
}

AnswerState Generation::state(std::string_view fingerprint) const {
  AnswerState s{fingerprint, usage(), {}};
  if (running_ == 0 && request().explain) s.explain = explain();
  return s;
}

void Generation::tell_trace() const {
  const Usage u = usage();
  TracedUsage t{
      .input_tokens = u.prompt_tokens, .output_tokens = u.completion_tokens, .ttft = {}, .finish_reasons = {}};
  for (const auto& c : choices_) {
    if (c.stats.ttft) t.ttft = std::min(t.ttft.value_or(*c.stats.ttft), *c.stats.ttft);
    t.finish_reasons.emplace_back(name(c.stream->finish_reason().value_or(FinishReason::aborted)));
  }
  spec_.trace->served(t);
}

// ---- Whole answer ----

void Generation::answer_whole() {
  constexpr std::size_t kWrittenHere = std::size_t{16} << 10;
  over_ = true;
  settle();  // before the answer, whose headers say what is left
  WholeAnswer answer{fingerprint_of_all(), {}, usage(), {}};
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    auto& c = choices_[i];
    std::shared_ptr<const RatedPrompt> rated;
    if (!rated_.empty()) rated = rated_[i / static_cast<std::size_t>(request().n)];
    answer.choices.push_back({prompt_of(i).echo, std::move(c.output), std::move(c.tokens), std::move(rated), end_of(c),
                              std::move(c.ids), prompt_of(i).ids});
  }
  if (request().explain) answer.explain = explain();
  const std::size_t bytes = answer.bytes();
  if (bytes <= kWrittenHere) return out_->respond(shape_->whole(std::move(answer)));
  PromptJob job{.client = spec_.client, .bytes = bytes, .refusable = false, .work = {}};
  job.work = [shape = std::move(shape_), answer = std::move(answer)]() mutable -> PromptResult {
    return shape->whole(std::move(answer));
  };
  executor_.submit(std::move(job), out_, [](PromptResult&& result, const std::shared_ptr<Responder>& out) {
    if (auto* written = std::get_if<HttpResponse>(&result)) out->respond(std::move(*written));
  });
}

// ---- Stream ----

void Generation::open_stream() {
  if (writer_) return;
  writer_ = out_->begin_stream(200, {{"content-type", "text/event-stream; charset=utf-8"},
                                     {"cache-control", "no-cache"},
                                     {"x-accel-buffering", "no"}});
}

void Generation::greet() {
  open_stream();
  if (std::exchange(greeted_, true)) return;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    AnswerState now = state(choices_[i].fingerprint);
    now.prompt = prompt_of(i).ids.get();
    const std::string written = shape_->open(i, prompt_of(i).echo, now);
    if (!written.empty()) writer_->write(written);
  }
}

void Generation::send_last(std::size_t index, ChoiceDelta delta) {
  greet();
  auto& c = choices_[index];
  const bool last = running_ == 0;
  std::string written = shape_->end(index, std::move(delta), end_of(c), last, state(c.fingerprint));
  if (last) {
    const std::string of_all = fingerprint_of_all();
    written += shape_->close(state(of_all));
  }
  if (!written.empty()) writer_->write(written);
  if (!last) return;
  over_ = true;
  writer_->finish();
}

}  // namespace sluice::coordinator
