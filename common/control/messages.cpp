#include "common/control/messages.h"

#include <algorithm>
#include <functional>

#include "common/control/encoded.h"
#include "common/control/message_fields.h"
#include "common/json/cbor_fields.h"

// Each message is one list of fields, which writes and reads it, and where its fields depend on one another a check().
// `need` is what the first version had; what came later is `want`ed, so that an older peer is understood.

namespace sluice {

template <>
inline constexpr bool kRow<ChangeStep> = true;
template <>
inline constexpr bool kRow<control::TopToken> = true;
template <>
inline constexpr bool kRow<control::RatedToken> = true;
template <>
inline constexpr bool kRow<control::Tokens::Item> = true;  // the hottest message

template <class V>
void fields(V& v, Of<V, ChangeStep> m) {
  v.need("token", m.token);
  v.need("layer", m.layer);
}

}  // namespace sluice

namespace sluice::control {

template <class V>
void fields(V& v, Of<V, SamplingSpec> m) {
  v.want("max_tokens", m.max_tokens);
  v.want("min_tokens", m.min_tokens);
  v.want("ignore_eos", m.ignore_eos);
  v.want("temperature", m.temperature);
  v.want("top_p", m.top_p);
  v.want("top_k", m.top_k);
  v.want("min_p", m.min_p);
  v.want("repetition_penalty", m.repetition_penalty);
  v.want("presence_penalty", m.presence_penalty);
  v.want("frequency_penalty", m.frequency_penalty);
  v.want("seed", m.seed);
  v.spare("logit_bias", m.logit_bias);
  v.spare("stop_token_ids", m.stop_token_ids);
  v.spare("grammar", m.grammar, Length{.most = kMaxGrammarBytes});
  v.spare("logprobs", m.logprobs);
}

template <class V>
void fields(V& v, Of<V, ProfileChange> m) {
  v.need("to", m.to);
  v.want("from", m.from, Length{.most = kMaxChangeSteps});
}

Result<> check(const ProfileChange& m) {
  if (std::ranges::adjacent_find(m.from, std::ranges::greater_equal{}, &ChangeStep::token) != m.from.end())
    return fail_param("from", "the steps of a change must rise by token");
  return {};
}

template <class V>
void fields(V& v, Of<V, ReserveRequest> m) {
  v.need("request", m.request);
  v.want("attempt", m.attempt);
  v.want("trace_id", m.trace_id);
  v.need_packed("tokens", m.tokens);
  v.need("prompt_tokens", m.prompt_tokens);
  v.need("kv_tokens", m.kv_tokens);
  v.need("max_new_tokens", m.max_new_tokens);
  v.need("sampling", m.sampling);
  v.want("profile", m.profile);
  v.want("fallbacks", m.fallbacks, Length{.most = kMaxFallbacks});
  v.want("prefill_node", m.prefill_node);
  v.want("prefill_incarnation", m.prefill_incarnation);
  v.want("timeout_ms", m.timeout_ms);
  v.want("priority", m.priority);
  v.want("probe", m.probe);
  v.want("tenant", m.tenant);
  v.spare("traceparent", m.traceparent, Length{.most = kMaxTraceparent});
  v.spare("tracestate", m.tracestate, Length{.most = kMaxTracestate});
  v.spare("continues", m.continues);
  v.spare("grows", m.grows);
  v.spare("exact", m.exact);
}

Result<> check(const ReserveRequest& m) {
  if (m.tokens.empty()) return fail_param("tokens", "tokens must not be empty");
  if (m.prompt_tokens == 0 || m.prompt_tokens > m.tokens.size())
    return fail_param("prompt_tokens", "prompt_tokens {} must be in 1..{}", m.prompt_tokens, m.tokens.size());
  if (m.continues) {
    // At its source it stops with one token more than positions.
    if (m.kv_tokens < m.tokens.size() - 1)
      return fail_param("kv_tokens", "kv_tokens {} of a sequence that moves must not be below those of its {} tokens",
                        m.kv_tokens, m.tokens.size());
    if (m.kv_tokens >= std::uint64_t{m.prompt_tokens} + m.max_new_tokens)
      return fail_param("kv_tokens", "kv_tokens {} of a sequence that moves leave nothing to generate within {}",
                        m.kv_tokens, std::uint64_t{m.prompt_tokens} + m.max_new_tokens);
    return {};
  }
  if (m.kv_tokens >= m.prompt_tokens)
    return fail_param("kv_tokens", "kv_tokens {} must be below prompt_tokens {}", m.kv_tokens, m.prompt_tokens);
  return {};
}

template <class V>
void fields(V& v, Of<V, ReserveReply> m) {
  v.want("ticket", m.ticket);
  v.want("data_address", m.data_address);
  v.want("data_key", m.data_key);
}

template <class V>
void fields(V& v, Of<V, KvWay> m) {
  v.need("profile", m.profile);
  v.want("ratio", m.ratio);
  v.want("encode_bps", m.encode_bps);
  v.want("decode_bps", m.decode_bps);
}

template <class V>
void fields(V& v, Of<V, PromptRating> m) {
  v.need("top", m.top);
  v.need("last", m.last);
}

Result<> check(const PromptRating& m) {
  if (m.top > kMaxLogprobs) return fail_param("top", "top {} must be at most {}", m.top, kMaxLogprobs);
  if (m.last < 0) return fail_param("last", "last must be a token id, not {}", m.last);
  return {};
}

template <class V>
void fields(V& v, Of<V, PrefillRequest> m) {
  v.need("request", m.request);
  v.want("trace_id", m.trace_id);
  v.need_packed("tokens", m.tokens);
  v.need("ticket", m.ticket);
  v.need("data_address", m.data_address);
  v.need("profile", m.profile);
  v.want("priority", m.priority);
  v.want("timeout_ms", m.timeout_ms);
  v.want("probe_token", m.probe_token);
  v.want("attempt", m.attempt);
  v.want("link_bps", m.link_bps);
  v.want("ways", m.ways, Length{.most = 1 + kMaxFallbacks});
  v.want("change", m.change);
  v.want("prompt_logprobs", m.prompt_logprobs);
  v.want("data_key", m.data_key);
  v.spare("traceparent", m.traceparent, Length{.most = kMaxTraceparent});
  v.spare("tracestate", m.tracestate, Length{.most = kMaxTracestate});
  v.spare("prefix_root", m.prefix_root, Length{.most = kPrefixRoot});
}

Result<> check(const PrefillRequest& m) {
  if (!m.ways.empty() && m.ways.front().profile != m.profile)
    return fail_param("ways", "the first of ways must be the request's profile");
  if (m.tokens.empty()) return fail_param("tokens", "tokens must not be empty");
  return {};
}

template <class V>
void fields(V& v, Of<V, PrefillDone> m) {
  v.need("request", m.request);
  v.want("error", m.error);
  v.want("queue_s", m.queue_s);
  v.want("compute_s", m.compute_s);
  v.want("encode_s", m.encode_s);
  v.want("wire_s", m.wire_s);
  v.want("wall_s", m.wall_s);
  v.want("exposed_s", m.exposed_s);
  v.want("raw_bytes", m.raw_bytes);
  v.want("wire_bytes", m.wire_bytes);
  v.want("link_bytes", m.link_bytes);
  v.want("link_busy_s", m.link_busy_s);
  v.want("tokens", m.tokens);
  v.want("changed_to", m.changed_to);
  v.want("attempt", m.attempt);
  v.want("cached_tokens", m.cached_tokens);
}

template <class V>
void fields(V& v, Of<V, KvReady> m) {
  v.need("request", m.request);
  v.want("decode_s", m.decode_s);
  v.want("wall_s", m.wall_s);
  v.want("wire_bytes", m.wire_bytes);
  v.want("change", m.change);
}

template <class V>
void fields(V& v, Of<V, TopToken> m) {
  v.need("id", m.id);
  v.need("logprob", m.logprob);
}

template <class V>
void fields(V& v, Of<V, RatedToken> m) {
  v.need("id", m.id);
  v.need("logprob", m.logprob);
  v.need("rank", m.rank);
  v.need("top", m.top);
}

Result<> check(const RatedToken& m) {
  if (m.top.size() > kMaxLogprobs)
    return fail_param("top", "top names {} tokens; at most {} are allowed", m.top.size(), kMaxLogprobs);
  return {};
}

template <class V>
void fields(V& v, Of<V, PromptLogprobs> m) {
  v.need("request", m.request);
  v.need("attempt", m.attempt);
  v.need("first", m.first, NumberRange<std::uint32_t>{.least = 1});
  v.need("tokens", m.tokens, Length{1, kMaxRatedTokens});
}

template <class V>
void fields(V& v, Of<V, Tokens::Item> m) {
  v.need("request", m.request);
  v.need("index", m.index);
  v.need("id", m.token.id);
  v.need("stop", m.token.stop);
  v.need("logprob", m.token.logprob);
  v.need("top", m.token.top);
}

template <class V>
void fields(V& v, Of<V, Tokens> m) {
  v.want("items", m.items);
}

template <class V>
void fields(V& v, Of<V, Finished> m) {
  v.need("request", m.request);
  v.want("attempt", m.attempt);
  v.need("reason", m.reason);
  v.want("error", m.error);
  v.want("first_step_s", m.first_step_s);
  v.want("local_queue_s", m.local_queue_s);
  v.want("local_s", m.local_s);
  v.want("local_tokens", m.local_tokens);
  v.spare("swapped", m.swapped);
  v.spare("recomputed", m.recomputed);
  v.spare("parked_s", m.parked_s);
}

template <class V>
void fields(V& v, Of<V, CancelRequest> m) {
  v.need("request", m.request);
}

template <class V>
void fields(V& v, Of<V, CancelReply> m) {
  v.need("found", m.found);
  v.want("freed_blocks", m.freed_blocks);
}

template <class V>
void fields(V& v, Of<V, ProbePathRequest> m) {
  v.need("data_address", m.data_address);
  v.want("block_bytes", m.block_bytes);
  v.want("decode_node", m.decode_node);
  v.want("data_key", m.data_key);
}

template <class V>
void fields(V& v, Of<V, ProbeResult> m) {
  v.need("request", m.request);
  v.need("profile", m.profile);
  v.need("kl", m.kl);
  v.need("top1", m.top1);
}

Result<> check(const ProbeResult& m) {
  if (!(m.kl >= 0) || m.kl > 1e6) return fail_param("kl", "kl must be a number of nats, not {}", m.kl);
  return {};
}

namespace {

template <class T>
Encoded encoded(const T& m) {
  std::vector<std::uint8_t> bytes;
  append_cbor(bytes, m);
  return Encoded(std::move(bytes));
}

}  // namespace

Encoded encode(const ReserveRequest& m) { return encoded(m); }
Encoded encode(const PrefillRequest& m) { return encoded(m); }

SLUICE_MESSAGE(Error, "error")
SLUICE_MESSAGE(SamplingSpec, "sampling")
SLUICE_MESSAGE(ReserveRequest, type::kReserve)
SLUICE_MESSAGE(ReserveReply, "reserve reply")
SLUICE_MESSAGE(PrefillRequest, type::kPrefill)
SLUICE_MESSAGE(PrefillDone, type::kPrefillDone)
SLUICE_MESSAGE(PromptLogprobs, type::kPromptLogprobs)
SLUICE_MESSAGE(KvReady, type::kKvReady)
SLUICE_MESSAGE(Tokens, type::kTokens)
SLUICE_MESSAGE(Finished, type::kFinished)
SLUICE_MESSAGE(CancelRequest, type::kCancel)
SLUICE_MESSAGE(CancelReply, "cancel reply")
SLUICE_MESSAGE(ProbePathRequest, type::kProbePath)
SLUICE_MESSAGE(ProbeResult, type::kProbeResult)

}  // namespace sluice::control
