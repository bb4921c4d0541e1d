#include "decode_node/decode_service.h"

#include "common/log.h"
#include "decode_node/decode_trace.h"

namespace sluice::decode {
namespace {

LoopOptions loop_options(const DecodeOptions& o, const engine::KvPoolShape& pool) {
  const std::uint64_t all = std::uint64_t{2} * pool.layers * pool.block_bytes() * pool.num_blocks;
  return {.max_legs = o.max_seqs, .grows = o.kv_on_demand, .swap_bytes = o.swap_bytes.value_or(all / kSwapShare)};
}

Buckets mask_buckets() { return {1e-6, 3e-6, 1e-5, 3e-5, 5e-5, 1e-4, 3e-4, 1e-3, 3e-3, .01, .1, 1}; }

}  // namespace

DecodeService::DecodeService(const node::KvIdentity& me, const kv::CodecRegistry& codecs, DecodeEngine engine,
                             const DecodeOptions& o, const Clock& clock, Metrics& metrics, Notify notify,
                             trace::SpanSink* spans, std::optional<MovesOutside> moves)
    : o_(o),
      codecs_(codecs),
      clock_(clock),
      vocabulary_(engine.vocabulary),
      notify_(std::move(notify)),
      spans_(spans),
      out_(metrics, notify_),
      probe_(clock, metrics,
             [this](const control::ProbeResult& r) { notify_(r.request, control::type::kProbeResult, to_json(r)); }),
      loop_(engine.model, engine.pool, engine.limits, loop_options(o, engine.pool.shape()), engine.known, out_),
      mask_seconds_(metrics.histogram("sluice_grammar_mask_seconds",
                                      "Time to work out which tokens a grammar allows next.", mask_buckets())),
      automata_([this](const std::string& grammar) { return compile_grammar(grammar, vocabulary_); }, metrics),
      moves_(moves ? std::make_unique<Moves>(me, codecs, engine.pool, loop_, o.exporting, clock, metrics,
                                             std::move(*moves), notify_, spans)
                   : nullptr),
      ingest_(me, codecs, engine.pool, clock, o.ingest_workers, metrics,
              {.on_committed = [this](const node::IngestResult& r) { on_committed(r); },
               .on_failed = [this](RequestId id, const Error& why) { on_failed(id, why); },
               .release = [this](const std::vector<engine::BlockHandle>& b) { loop_.release_blocks(b); },
               .on_note = [this](std::span<const std::byte> n) { probe_.on_note(n); }}) {}

DecodeService::~DecodeService() { stop(); }

void DecodeService::stop() {
  ingest_.stop();
  automata_.stop();
  loop_.stop();
  if (moves_) moves_->stop();
}

Result<std::optional<kv::Ticket>> DecodeService::reserve(const control::ReserveRequest& r) {
  LegStart leg{r.request, r.tokens, r.prompt_tokens, r.kv_tokens, r.max_new_tokens, r.sampling, r.priority};
  leg.attempt = r.attempt;
  leg.bound = !r.sampling.grammar.empty();
  if (leg.bound && !vocabulary_)
    return fail(Errc::unsupported, "this node cannot keep answers to a grammar: its model has no tokenizer");
  if (r.continues) SLUICE_TRY(check_coming(r));
  leg.continues = r.continues;
  leg.grows = r.grows;
  const bool all_here = r.kv_tokens == 0 && !r.continues;
  leg.exact = all_here || (r.exact && travels_exactly(r));
  leg.on_end = [this, id = r.request, attempt = r.attempt, trace = tell_trace_of(r, spans_)](const LegTimes& t) {
    if (moves_) moves_->let_go(id, attempt);
    if (trace) trace(t);
  };
  const bool probe =
      r.probe && !r.continues && r.kv_tokens > 0 && r.kv_tokens + 1 == r.tokens.size();  // the first step is one row
  if (probe) leg.on_first_logits = [this, id = r.request](std::span<const float> logits) { probe_.on_own(id, logits); };
  const bool bound = leg.bound;
  SLUICE_ASSIGN(auto blocks, loop_.admit(std::move(leg)));
  std::optional<kv::Ticket> ticket;
  if (r.kv_tokens > 0) {
    auto issued = ingest_.expect(r, std::move(blocks), o_.seal);
    if (!issued) {
      (void)loop_.cancel(r.request);
      return std::unexpected(issued.error());
    }
    if (probe) probe_.expect(*issued);
    ticket = std::move(*issued);
  }
  if (bound) {
    if (const auto wanted = want_grammar(r); !wanted) {
      (void)cancel(r.request);
      return std::unexpected(wanted.error());
    }
  }
  if (r.continues) coming_.expect({r.request, r.attempt}, clock_.now() + std::chrono::milliseconds(r.timeout_ms));
  log::debug("reserved", {{"request_id", r.trace_id}, {"leg", r.request}, {"kv_tokens", r.kv_tokens}});
  return ticket;
}

bool DecodeService::travels_exactly(const control::ReserveRequest& r) const {
  const kv::Profile* p = codecs_.profile(r.profile);
  return p != nullptr && p->codec->lossless();
}

Result<> DecodeService::check_coming(const control::ReserveRequest& r) const {
  std::vector<std::string> profiles = r.fallbacks;
  profiles.push_back(r.profile);
  for (const std::string& name : profiles) {
    const kv::Profile* p = codecs_.profile(name);
    if (p != nullptr && !p->codec->lossless())
      return fail_param("profile", "KV profile '{}' is lossy: a sequence moves with the bits that it has", name);
  }
  return {};
}

/// The leg is told on this thread where its automaton is here already, else on the one that compiles.
Result<> DecodeService::want_grammar(const control::ReserveRequest& r) {
  std::vector<TokenId> sent(r.tokens.begin() + r.prompt_tokens, r.tokens.end());
  const auto tell = [this, id = r.request, attempt = r.attempt, sent = std::move(sent)](const Compiled& compiled) {
    auto constraint = compiled ? follow(*compiled, sent, mask_seconds_) : std::unexpected(compiled.error());
    if (!constraint) return on_failed(id, constraint.error());
    loop_.bind(id, attempt, std::move(*constraint));
  };
  return automata_.want(r.request, r.tenant, r.sampling.grammar, tell);
}

Result<control::MoveReply> DecodeService::move(const control::MoveRequest& r) {
  if (!moves_) return fail(Errc::unsupported, "sequences do not move off this node");
  return moves_->start(r);
}

Result<> DecodeService::stay(const control::StayRequest& r) {
  if (!moves_) return fail(Errc::not_found, "request {} does not move", r.request);
  return moves_->stay(r);
}

Result<> DecodeService::go_on(const control::GoOnRequest& r) {
  SLUICE_TRY(loop_.go_on(r.request, r.attempt, r.tokens));
  coming_.forget(r.request);
  return {};
}

std::optional<std::uint32_t> DecodeService::cancel(RequestId id) {
  coming_.forget(id);
  automata_.drop(id);
  probe_.drop(id);
  ingest_.revoke(id);
  return loop_.cancel(id);
}

void DecodeService::cancel_all(control::LegSpace of) {
  coming_.forget_all(of);
  automata_.drop_all(of);
  loop_.cancel_all(of);
  ingest_.revoke_all(of);
  probe_.drop_all(of);
}

void DecodeService::expire() {
  ingest_.expire();
  if (moves_) moves_->expire();
  for (const Coming::Leg& leg : coming_.late(clock_.now())) {
    if (!loop_.awaits_tokens(leg.id, leg.attempt)) continue;  // it has ended otherwise
    ingest_.revoke(leg.id);
    on_failed(leg.id, Error{Errc::deadline_exceeded, "the tokens of a sequence that moves did not come in time", {}});
  }
  probe_.expire();
}

void DecodeService::on_committed(const node::IngestResult& r) {
  if (r.change) probe_.drop(r.request);  // what it measured would be said of the request's own profile
  // Before the first token: with that, only the same KV continues the answer, and this says which that is.
  notify_(r.request, control::type::kKvReady,
          to_json(control::KvReady{r.request, r.decode_s, r.wall_s, r.wire_bytes, r.change}));
  KvArrival kv{.decode_s = r.decode_s, .raw_bytes = r.raw_bytes, .wire_bytes = r.wire_bytes};
  if (r.change) {
    kv.changed_to = r.change->to;
    const kv::Profile* p = codecs_.profile(kv.changed_to);
    kv.lossless = p != nullptr && p->codec->lossless();
  }
  loop_.mark_ready(r.request, std::move(kv));
}

void DecodeService::on_failed(RequestId id, const Error& why) {
  probe_.drop(id);
  loop_.fail(id, why);
}

}  // namespace sluice::decode
