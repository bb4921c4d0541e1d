// What nodes say of themselves: when they register, and with each heartbeat.
#include "common/control/message_fields.h"
#include "common/control/messages.h"

namespace sluice::control {

template <class V>
void fields(V& v, Of<V, ModelIdentity> m) {
  v.need("name", m.name);
  v.need("hash", m.hash);
  v.need("layers", m.layers);
  v.need("kv_heads", m.kv_heads);
  v.need("head_dim", m.head_dim);
  v.need("kv_dtype", m.kv_dtype);
  v.need("vocab_size", m.vocab_size);
  v.need("max_context", m.max_context);
  v.need("codec_hash", m.codec_hash);
  v.want("backend", m.backend);
  v.want("precision", m.precision);
  v.want("version", m.version);
}

template <class V>
void fields(V& v, Of<V, ProfileInfo> m) {
  v.need("name", m.name);
  v.want("kl", m.stated_kl);
  v.want("ratio", m.ratio);
  v.want("encode_bps", m.encode_bps);
  v.want("decode_bps", m.decode_bps);
}

template <class V>
void fields(V& v, Of<V, RegisterRequest> m) {
  v.need("protocol_min", m.protocol_min);
  v.need("protocol_max", m.protocol_max);
  v.need("role", m.role, kRoles);
  v.need("node", m.node, Length{1, 128});
  v.need("incarnation", m.incarnation);
  v.need("model", m.model);
  v.want("data_address", m.data_address);
  v.want("admin_address", m.admin_address);
  v.want("admin_tls", m.admin_tls);
  v.want("block_size", m.block_size);
  v.want("total_blocks", m.total_blocks);
  v.want("max_seqs", m.max_seqs);
  v.want("prefill_chunk", m.prefill_chunk);
  v.want("max_batch_tokens", m.max_batch_tokens);
  v.want("frame_kib", m.frame_kib);
  v.want("profiles", m.profiles);
  v.want("cluster_token", m.cluster_token);
  v.want("data_key", m.data_key);
  v.want("grammars", m.grammars);
  v.want("grows", m.grows);
  v.want("moves", m.moves);
  v.want("changes_role", m.changes_role);
  v.want("host", m.host, Length{.most = kMaxHost});
  v.want("cores", m.cores);
  v.want("threads", m.threads);
}

template <class V>
void fields(V& v, Of<V, RegisterReply> m) {
  v.need("protocol", m.protocol);
  v.need("heartbeat_ms", m.heartbeat_ms);
  v.need("lease_ms", m.lease_ms);
  v.want("echoes", m.echoes);
  v.want("leg_space", m.leg_space);
}

template <class V>
void fields(V& v, Of<V, LinkReport> m) {
  v.need("address", m.address);
  v.want("bandwidth_bps", m.bandwidth_bps);
  v.want("rtt_s", m.rtt_s);
  v.want("in_flight", m.bytes_in_flight);
  v.want("queued", m.queue_bytes);
}

template <class V>
void fields(V& v, Of<V, PrefixReport> m) {
  constexpr std::size_t kMost = 32 * kMaxPrefixNames;
  v.want("anew", m.anew);
  v.want("stored", m.stored, Length{.most = kMost});
  v.want("removed", m.removed, Length{.most = kMost});
}

template <class V>
void fields(V& v, Of<V, Heartbeat> m) {
  v.need("waiting", m.waiting);
  v.need("running", m.running);
  v.need("free_blocks", m.free_blocks);
  v.need("total_blocks", m.total_blocks);
  v.want("queued_tokens", m.queued_tokens);
  v.want("prefill_tokens_per_s", m.prefill_tokens_per_s);
  v.want("step_s", m.step_s);
  v.want("step_batch", m.step_batch);
  v.want("draining", m.draining);
  v.want("others_blocks", m.others_blocks);
  v.want("others_seqs", m.others_seqs);
  v.want("others_tokens", m.others_tokens);
  v.want("links", m.links);
  v.want("profiles", m.profiles);
  v.want("stalled", m.stalled);
  v.want("parked", m.parked);
  v.want("parked_blocks", m.parked_blocks);
  v.want("preemptions", m.preemptions);
  v.spare("prefixes", m.prefixes);
}

std::string_view name(Role r) noexcept {
  for (const auto& role : kRoles)
    if (role.value == r) return role.text;
  return {};
}

SLUICE_MESSAGE(RegisterRequest, type::kRegister)
SLUICE_MESSAGE(RegisterReply, "register reply")
SLUICE_MESSAGE(Heartbeat, type::kHeartbeat)
SLUICE_MESSAGE(LinkReport, "link")

}  // namespace sluice::control
