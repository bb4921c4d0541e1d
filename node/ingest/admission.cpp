#include "node/ingest/admission.h"

#include <algorithm>

namespace sluice::node {

Result<const kv::Profile*> Admission::profile(const std::string& name) const {
  if (const kv::Profile* p = codecs_.profile(name)) return p;
  return std::unexpected(
      Error{Errc::not_found, fmt::format("KV profile '{}' is not known to this node", name), "profile"});
}

Result<DrawnTicket> Admission::draw(const control::ReserveRequest& r, std::span<const engine::BlockHandle> blocks,
                                    kv::SealMode seal) const {
  SLUICE_ASSIGN(const kv::Profile* own, profile(r.profile));
  DrawnTicket d;
  kv::Ticket& k = d.ticket;
  SLUICE_TRY(kv::draw_secrets(k));
  k.seal = seal;
  k.request = r.request;
  k.tenant = r.tenant;
  k.prefill_node = r.prefill_node;
  k.prefill_incarnation = r.prefill_incarnation;
  k.decode_node = me_.node;
  k.decode_incarnation = me_.incarnation;
  k.model_hash = me_.model_hash;
  k.layout = me_.layout;
  k.format_hash = codecs_.format_hash();
  k.profile = r.profile;
  k.codec = own->codec->id();
  for (const std::string& name : r.fallbacks) {
    SLUICE_ASSIGN(const kv::Profile* f, profile(name));
    if (k.allows(f->codec->id())) continue;
    k.alternates.push_back(f->codec->id());
    d.fallbacks.push_back(f);
  }
  k.tokens = {0, r.kv_tokens};
  k.block_size = block_size_;
  const std::size_t used = (r.kv_tokens + block_size_ - 1) / block_size_;
  for (const engine::BlockHandle& b : blocks.first(std::min(used, blocks.size()))) k.blocks.push_back(b.id);
  k.max_wire_bytes = kv::wire_budget(k.layout, k.tokens);
  k.valid_for = std::chrono::milliseconds(r.timeout_ms);
  return d;
}

Result<kv::Hello> Admission::greet(std::span<const std::byte> hello) const {
  SLUICE_ASSIGN(kv::Hello h, kv::parse_hello(hello));
  if (h.model_hash != me_.model_hash || !(h.layout == me_.layout))
    return fail(Errc::invalid_argument, "prefill node '{}' runs another model or KV layout", h.node);
  if (h.format_hash != codecs_.format_hash())
    return fail(Errc::invalid_argument, "prefill node '{}' was built with other KV codec formats", h.node);
  return h;
}

}  // namespace sluice::node
