#include "common/control/messages.h"

#include <algorithm>
#include <functional>

#include "common/control/field_reader.h"

namespace sluice::control {

template <>
Result<Error> parse<Error>(const nlohmann::json& j);
namespace {

using nlohmann::json;

constexpr std::size_t kMaxListItems = 4096;

/// Reads an array field with one reader per item; bounded, and absent means empty.
template <class T, class F>
Result<> read_list(const json& j, const char* key, std::vector<T>& out, F&& item) {
  if (!j.contains(key) || j.at(key).is_null()) return {};
  const json& a = j.at(key);
  if (!a.is_array()) return fail_param(key, "field '{}' must be an array", key);
  if (a.size() > kMaxListItems)
    return fail_param(key, "field '{}' has {} items; at most {}", key, a.size(), kMaxListItems);
  out.reserve(a.size());
  for (const json& v : a) {
    auto r = item(v);
    if (!r) return std::unexpected(std::move(r).error());
    out.push_back(std::move(*r));
  }
  return {};
}

json item_json(const ProfileInfo& p) {
  return {{"name", p.name},
          {"kl", p.stated_kl},
          {"ratio", p.ratio},
          {"encode_bps", p.encode_bps},
          {"decode_bps", p.decode_bps}};
}

Result<ProfileInfo> parse_profile(const json& j) {
  ProfileInfo p;
  FieldReader r(j, "profile");
  r.need("name", p.name)
      .want("kl", p.stated_kl)
      .want("ratio", p.ratio)
      .want("encode_bps", p.encode_bps)
      .want("decode_bps", p.decode_bps);
  SLUICE_TRY(r.done());
  return p;
}

Result<LinkReport> parse_link(const json& j) {
  LinkReport l;
  FieldReader r(j, "link");
  r.need("address", l.address).want("bandwidth_bps", l.bandwidth_bps).want("rtt_s", l.rtt_s);
  r.want("in_flight", l.bytes_in_flight).want("queued", l.queue_bytes);
  SLUICE_TRY(r.done());
  return l;
}

json item_json(const LinkReport& l) { return to_json(l); }
json item_json(const KvWay& w) {
  return {{"profile", w.profile}, {"ratio", w.ratio}, {"encode_bps", w.encode_bps}, {"decode_bps", w.decode_bps}};
}

Result<KvWay> parse_way(const json& j) {
  KvWay w;
  FieldReader r(j, "way");
  r.need("profile", w.profile).want("ratio", w.ratio).want("encode_bps", w.encode_bps).want("decode_bps", w.decode_bps);
  SLUICE_TRY(r.done());
  return w;
}

template <class T>
json list_json(const std::vector<T>& v) {
  json a = json::array();
  for (const T& x : v) a.push_back(item_json(x));
  return a;
}

json model_json(const ModelIdentity& m) {
  return {{"name", m.name},
          {"hash", m.hash},
          {"layers", m.layers},
          {"kv_heads", m.kv_heads},
          {"head_dim", m.head_dim},
          {"kv_dtype", m.kv_dtype},
          {"vocab_size", m.vocab_size},
          {"max_context", m.max_context},
          {"codec_hash", m.codec_hash},
          {"backend", m.backend},
          {"precision", m.precision}};
}

Result<ModelIdentity> parse_model(const json& j) {
  ModelIdentity m;
  FieldReader r(j, "model");
  r.need("name", m.name).need("hash", m.hash).need("layers", m.layers).need("kv_heads", m.kv_heads);
  r.need("head_dim", m.head_dim).need("kv_dtype", m.kv_dtype).need("vocab_size", m.vocab_size);
  r.need("max_context", m.max_context).need("codec_hash", m.codec_hash).want("backend", m.backend);
  r.want("precision", m.precision);
  SLUICE_TRY(r.done());
  return m;
}

/// An optional error travels as null or {code, message, param}.
json error_or_null(const std::optional<Error>& e) { return e ? to_json(*e) : json(nullptr); }

Result<std::optional<Error>> parse_error_field(const json& j) {
  if (!j.contains("error") || j.at("error").is_null()) return std::optional<Error>{};
  SLUICE_ASSIGN(Error e, parse<Error>(j.at("error")));
  return std::optional<Error>(std::move(e));
}

json change_or_null(const std::optional<ProfileChange>& c) {
  if (!c) return nullptr;
  json from = json::array();
  for (const ChangeStep& s : c->from) from.push_back({s.token, s.layer});
  return {{"to", c->to}, {"from", std::move(from)}};
}

Result<ChangeStep> parse_step(const json& j) {
  if (!j.is_array() || j.size() != 2) return fail_param("from", "change: a step must be [token, layer]");
  ChangeStep s;
  const json named{{"token", j[0]}, {"layer", j[1]}};
  FieldReader r(named, "change");
  r.need("token", s.token).need("layer", s.layer);
  SLUICE_TRY(r.done());
  return s;
}

Result<std::optional<ProfileChange>> parse_change_field(const json& j) {
  if (!j.contains("change") || j.at("change").is_null()) return std::optional<ProfileChange>{};
  const json& in = j.at("change");
  ProfileChange c;
  FieldReader r(in, "change");
  r.need("to", c.to);
  SLUICE_TRY(r.done());
  SLUICE_TRY(read_list(in, "from", c.from, parse_step));
  if (c.from.size() > kMaxChangeSteps)
    return fail_param("from", "change: {} steps, at most {}", c.from.size(), kMaxChangeSteps);
  if (std::ranges::adjacent_find(c.from, std::ranges::greater_equal{}, &ChangeStep::token) != c.from.end())
    return fail_param("from", "change: steps must rise by token");
  return std::optional<ProfileChange>(std::move(c));
}

}  // namespace

std::string_view name(Role r) noexcept { return r == Role::prefill ? "prefill" : "decode"; }

json to_json(const Error& e) { return {{"code", name(e.code)}, {"message", e.message}, {"param", e.param}}; }

template <>
Result<Error> parse<Error>(const json& j) {
  Error e;
  std::string code;
  FieldReader r(j, "error");
  r.need("code", code).need("message", e.message).want("param", e.param);
  SLUICE_TRY(r.done());
  e.code = errc_from_name(code);
  return e;
}

json to_json(const LinkReport& l) {
  return {{"address", l.address},
          {"bandwidth_bps", l.bandwidth_bps},
          {"rtt_s", l.rtt_s},
          {"in_flight", l.bytes_in_flight},
          {"queued", l.queue_bytes}};
}
template <>
Result<LinkReport> parse<LinkReport>(const json& j) {
  return parse_link(j);
}

json to_json(const RegisterRequest& m) {
  return {{"protocol_min", m.protocol_min},
          {"protocol_max", m.protocol_max},
          {"role", name(m.role)},
          {"node", m.node.value()},
          {"incarnation", m.incarnation.value()},
          {"model", model_json(m.model)},
          {"data_address", m.data_address},
          {"admin_address", m.admin_address},
          {"block_size", m.block_size},
          {"total_blocks", m.total_blocks},
          {"max_seqs", m.max_seqs},
          {"prefill_chunk", m.prefill_chunk},
          {"max_batch_tokens", m.max_batch_tokens},
          {"frame_kib", m.frame_kib},
          {"profiles", list_json(m.profiles)},
          {"cluster_token", m.cluster_token}};
}
template <>
Result<RegisterRequest> parse<RegisterRequest>(const json& j) {
  RegisterRequest m;
  std::string role;
  json model;
  FieldReader r(j, "register");
  r.need("protocol_min", m.protocol_min).need("protocol_max", m.protocol_max).need("role", role).need("node", m.node);
  r.need("incarnation", m.incarnation).need("model", model).want("data_address", m.data_address);
  r.want("admin_address", m.admin_address).want("block_size", m.block_size).want("total_blocks", m.total_blocks);
  r.want("max_seqs", m.max_seqs).want("cluster_token", m.cluster_token).want("prefill_chunk", m.prefill_chunk);
  r.want("max_batch_tokens", m.max_batch_tokens).want("frame_kib", m.frame_kib);
  SLUICE_TRY(r.done());
  if (role != "prefill" && role != "decode")
    return fail_param("role", "register: role must be 'prefill' or 'decode', not '{}'", role);
  m.role = role == "prefill" ? Role::prefill : Role::decode;
  if (m.node.value().empty() || m.node.value().size() > 128)
    return fail_param("node", "register: node name must have 1 to 128 characters");
  SLUICE_ASSIGN(m.model, parse_model(model));
  SLUICE_TRY(read_list(j, "profiles", m.profiles, parse_profile));
  return m;
}

json to_json(const RegisterReply& m) {
  return {{"protocol", m.protocol}, {"heartbeat_ms", m.heartbeat_ms}, {"lease_ms", m.lease_ms}};
}
template <>
Result<RegisterReply> parse<RegisterReply>(const json& j) {
  RegisterReply m;
  FieldReader r(j, "register reply");
  r.need("protocol", m.protocol).need("heartbeat_ms", m.heartbeat_ms).need("lease_ms", m.lease_ms);
  SLUICE_TRY(r.done());
  return m;
}

json to_json(const Heartbeat& m) {
  return {{"waiting", m.waiting},
          {"running", m.running},
          {"free_blocks", m.free_blocks},
          {"total_blocks", m.total_blocks},
          {"queued_tokens", m.queued_tokens},
          {"prefill_tokens_per_s", m.prefill_tokens_per_s},
          {"step_s", m.step_s},
          {"step_batch", m.step_batch},
          {"draining", m.draining},
          {"links", list_json(m.links)},
          {"profiles", list_json(m.profiles)}};
}
template <>
Result<Heartbeat> parse<Heartbeat>(const json& j) {
  Heartbeat m;
  FieldReader r(j, "heartbeat");
  r.need("waiting", m.waiting).need("running", m.running).need("free_blocks", m.free_blocks);
  r.need("total_blocks", m.total_blocks).want("queued_tokens", m.queued_tokens);
  r.want("prefill_tokens_per_s", m.prefill_tokens_per_s).want("step_s", m.step_s).want("step_batch", m.step_batch);
  r.want("draining", m.draining);
  SLUICE_TRY(r.done());
  SLUICE_TRY(read_list(j, "links", m.links, parse_link));
  SLUICE_TRY(read_list(j, "profiles", m.profiles, parse_profile));
  return m;
}

json to_json(const ReserveRequest& m) {
  return {{"request", m.request.value()},
          {"attempt", m.attempt},
          {"trace_id", m.trace_id},
          {"tokens", tokens_json(m.tokens)},
          {"prompt_tokens", m.prompt_tokens},
          {"kv_tokens", m.kv_tokens},
          {"max_new_tokens", m.max_new_tokens},
          {"sampling", nlohmann::json(m.sampling)},
          {"profile", m.profile},
          {"fallbacks", m.fallbacks},
          {"prefill_node", m.prefill_node.value()},
          {"prefill_incarnation", m.prefill_incarnation.value()},
          {"timeout_ms", m.timeout_ms},
          {"priority", m.priority},
          {"probe", m.probe}};
}
template <>
Result<ReserveRequest> parse<ReserveRequest>(const json& j) {
  ReserveRequest m;
  json sampling;
  FieldReader r(j, "reserve");
  r.need("request", m.request)
      .want("trace_id", m.trace_id)
      .need("tokens", m.tokens)
      .need("prompt_tokens", m.prompt_tokens);
  r.need("kv_tokens", m.kv_tokens).need("max_new_tokens", m.max_new_tokens).need("sampling", sampling);
  r.want("profile", m.profile).want("prefill_node", m.prefill_node).want("prefill_incarnation", m.prefill_incarnation);
  r.want("timeout_ms", m.timeout_ms).want("priority", m.priority).want("probe", m.probe).want("attempt", m.attempt);
  SLUICE_TRY(r.done());
  SLUICE_TRY(read_list(j, "fallbacks", m.fallbacks, [](const json& v) -> Result<std::string> {
    if (!v.is_string()) return fail_param("fallbacks", "reserve: fallbacks must be names of profiles");
    return v.get<std::string>();
  }));
  if (m.fallbacks.size() > kMaxFallbacks)
    return fail_param("fallbacks", "reserve: {} fallbacks, at most {}", m.fallbacks.size(), kMaxFallbacks);
  try {
    m.sampling = sampling.get<SamplingSpec>();
  } catch (const nlohmann::json::exception& e) {
    return fail_param("sampling", "reserve: bad sampling parameters: {}", e.what());
  }
  SLUICE_TRY(check(m.sampling));
  if (m.tokens.empty()) return fail_param("tokens", "reserve: tokens must not be empty");
  if (m.prompt_tokens == 0 || m.prompt_tokens > m.tokens.size())
    return fail_param("prompt_tokens", "reserve: prompt_tokens {} must be in 1..{}", m.prompt_tokens, m.tokens.size());
  if (m.kv_tokens >= m.prompt_tokens)
    return fail_param("kv_tokens", "reserve: kv_tokens {} must be below prompt_tokens {}", m.kv_tokens,
                      m.prompt_tokens);
  return m;
}

json to_json(const ReserveReply& m) { return {{"ticket", m.ticket}, {"data_address", m.data_address}}; }
template <>
Result<ReserveReply> parse<ReserveReply>(const json& j) {
  ReserveReply m;
  FieldReader r(j, "reserve reply");
  r.want("ticket", m.ticket).want("data_address", m.data_address);
  SLUICE_TRY(r.done());
  return m;
}

json to_json(const PrefillRequest& m) {
  return {{"request", m.request.value()},
          {"trace_id", m.trace_id},
          {"tokens", tokens_json(m.tokens)},
          {"ticket", m.ticket},
          {"data_address", m.data_address},
          {"profile", m.profile},
          {"priority", m.priority},
          {"timeout_ms", m.timeout_ms},
          {"probe_token", m.probe_token},
          {"attempt", m.attempt},
          {"link_bps", m.link_bps},
          {"ways", list_json(m.ways)},
          {"change", change_or_null(m.change)}};
}
template <>
Result<PrefillRequest> parse<PrefillRequest>(const json& j) {
  PrefillRequest m;
  FieldReader r(j, "prefill");
  r.need("request", m.request).want("trace_id", m.trace_id).need("tokens", m.tokens).need("ticket", m.ticket);
  r.need("data_address", m.data_address).need("profile", m.profile).want("priority", m.priority);
  r.want("timeout_ms", m.timeout_ms).want("probe_token", m.probe_token).want("link_bps", m.link_bps);
  r.want("attempt", m.attempt);
  SLUICE_TRY(r.done());
  SLUICE_TRY(read_list(j, "ways", m.ways, parse_way));
  if (m.ways.size() > 1 + kMaxFallbacks)
    return fail_param("ways", "prefill: {} ways, at most {}", m.ways.size(), 1 + kMaxFallbacks);
  if (!m.ways.empty() && m.ways.front().profile != m.profile)
    return fail_param("ways", "prefill: the first way must be the request's profile");
  SLUICE_ASSIGN(m.change, parse_change_field(j));
  if (m.tokens.empty()) return fail_param("tokens", "prefill: tokens must not be empty");
  return m;
}

json to_json(const PrefillDone& m) {
  return {{"request", m.request.value()}, {"error", error_or_null(m.error)}, {"queue_s", m.queue_s},
          {"compute_s", m.compute_s},     {"encode_s", m.encode_s},          {"wire_s", m.wire_s},
          {"wall_s", m.wall_s},           {"exposed_s", m.exposed_s},        {"raw_bytes", m.raw_bytes},
          {"wire_bytes", m.wire_bytes},   {"link_bytes", m.link_bytes},      {"link_busy_s", m.link_busy_s},
          {"tokens", m.tokens},           {"changed_to", m.changed_to},      {"attempt", m.attempt}};
}
template <>
Result<PrefillDone> parse<PrefillDone>(const json& j) {
  PrefillDone m;
  FieldReader r(j, "prefill_done");
  r.need("request", m.request).want("queue_s", m.queue_s).want("compute_s", m.compute_s).want("encode_s", m.encode_s);
  r.want("wire_s", m.wire_s).want("wall_s", m.wall_s).want("exposed_s", m.exposed_s).want("raw_bytes", m.raw_bytes);
  r.want("wire_bytes", m.wire_bytes).want("tokens", m.tokens);
  r.want("link_bytes", m.link_bytes).want("link_busy_s", m.link_busy_s).want("changed_to", m.changed_to);
  r.want("attempt", m.attempt);
  SLUICE_TRY(r.done());
  SLUICE_ASSIGN(m.error, parse_error_field(j));
  return m;
}

json to_json(const KvReady& m) {
  return {{"request", m.request.value()},
          {"decode_s", m.decode_s},
          {"wall_s", m.wall_s},
          {"wire_bytes", m.wire_bytes},
          {"change", change_or_null(m.change)}};
}
template <>
Result<KvReady> parse<KvReady>(const json& j) {
  KvReady m;
  FieldReader r(j, "kv_ready");
  r.need("request", m.request).want("decode_s", m.decode_s).want("wall_s", m.wall_s).want("wire_bytes", m.wire_bytes);
  SLUICE_TRY(r.done());
  SLUICE_ASSIGN(m.change, parse_change_field(j));
  return m;
}

json to_json(const Tokens& m) {
  json items = json::array();
  for (const auto& it : m.items) {
    // Positional, since this is the hottest message: [request, index, id, stop, logprob, [[id, logprob], ...]].
    json top = json::array();
    for (const auto& t : it.token.top) top.push_back({t.id, t.logprob});
    items.push_back({it.request.value(), it.index, it.token.id, it.token.stop, it.token.logprob, std::move(top)});
  }
  return {{"items", std::move(items)}};
}
template <>
Result<Tokens> parse<Tokens>(const json& j) {
  Tokens m;
  auto pair = [](const json& v) {
    return v.is_array() && v.size() == 2 && v[0].is_number_integer() && v[1].is_number();
  };
  SLUICE_TRY(read_list(j, "items", m.items, [&](const json& v) -> Result<Tokens::Item> {
    if (!v.is_array() || v.size() != 6 || !v[0].is_number_unsigned() || !v[1].is_number_unsigned() ||
        !v[2].is_number_integer() || !v[3].is_boolean() || !v[4].is_number() || !v[5].is_array())
      return fail_param("items", "tokens: an item must be [request, index, id, stop, logprob, top]");
    Tokens::Item it;
    it.request = RequestId(v[0].get<std::uint64_t>());
    it.index = v[1].get<std::uint32_t>();
    it.token = {.id = v[2].get<TokenId>(), .stop = v[3].get<bool>(), .logprob = v[4].get<float>(), .top = {}};
    for (const json& t : v[5]) {
      if (!pair(t)) return fail_param("items", "tokens: a top entry must be [id, logprob]");
      it.token.top.push_back({t[0].get<TokenId>(), t[1].get<float>()});
    }
    return it;
  }));
  return m;
}

json to_json(const Finished& m) {
  return {{"request", m.request.value()},
          {"attempt", m.attempt},
          {"reason", m.reason},
          {"error", error_or_null(m.error)},
          {"first_step_s", m.first_step_s}};
}
template <>
Result<Finished> parse<Finished>(const json& j) {
  Finished m;
  FieldReader r(j, "finished");
  r.need("request", m.request).need("reason", m.reason).want("first_step_s", m.first_step_s).want("attempt", m.attempt);
  SLUICE_TRY(r.done());
  SLUICE_ASSIGN(m.error, parse_error_field(j));
  return m;
}

json to_json(const CancelRequest& m) { return {{"request", m.request.value()}}; }
template <>
Result<CancelRequest> parse<CancelRequest>(const json& j) {
  CancelRequest m;
  FieldReader r(j, "cancel");
  r.need("request", m.request);
  SLUICE_TRY(r.done());
  return m;
}

json to_json(const CancelReply& m) { return {{"found", m.found}, {"freed_blocks", m.freed_blocks}}; }
template <>
Result<CancelReply> parse<CancelReply>(const json& j) {
  CancelReply m;
  FieldReader r(j, "cancel reply");
  r.need("found", m.found).want("freed_blocks", m.freed_blocks);
  SLUICE_TRY(r.done());
  return m;
}

json to_json(const ProbePathRequest& m) { return {{"data_address", m.data_address}, {"block_bytes", m.block_bytes}}; }
template <>
Result<ProbePathRequest> parse<ProbePathRequest>(const json& j) {
  ProbePathRequest m;
  FieldReader r(j, "probe_path");
  r.need("data_address", m.data_address).want("block_bytes", m.block_bytes);
  SLUICE_TRY(r.done());
  return m;
}

json to_json(const ProbeResult& m) {
  return {{"request", m.request.value()}, {"profile", m.profile}, {"kl", m.kl}, {"top1", m.top1}};
}
template <>
Result<ProbeResult> parse<ProbeResult>(const json& j) {
  ProbeResult m;
  FieldReader r(j, "probe_result");
  r.need("request", m.request).need("profile", m.profile).need("kl", m.kl).need("top1", m.top1);
  SLUICE_TRY(r.done());
  if (!(m.kl >= 0) || m.kl > 1e6) return fail_param("kl", "probe_result: kl must be a number of nats, not {}", m.kl);
  return m;
}

}  // namespace sluice::control
