#include "node/export/sender_ticket.h"

namespace sluice::node {

Result<const kv::Profile*> check_sender_ticket(const kv::Ticket& t, const KvIdentity& me,
                                               const kv::CodecRegistry& codecs, std::size_t tokens,
                                               const std::string& profile) {
  if (t.prefill_node != me.node || t.prefill_incarnation != me.incarnation)
    return fail(Errc::stale, "the ticket is for another incarnation of this node");
  if (t.model_hash != me.model_hash || !(t.layout == me.layout))
    return fail(Errc::invalid_argument, "the ticket is for another model or KV layout");
  if (t.format_hash != codecs.format_hash())
    return fail(Errc::invalid_argument, "the decode node was built with other KV codec formats");
  if (!(t.tokens == kv::TokenRange{0, static_cast<std::uint32_t>(tokens)}))
    return fail(Errc::invalid_argument, "the ticket covers {} tokens, the prompt has {}", t.tokens.count, tokens);
  const kv::Profile* p = codecs.profile(profile);
  if (p == nullptr || t.profile != profile)
    return fail(Errc::invalid_argument, "KV profile '{}' is not what the ticket allows", profile);
  return p;
}

}  // namespace sluice::node
