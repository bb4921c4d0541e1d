#include "prefill_node/ticket_check.h"

#include "prefill_node/profile_plan.h"

namespace sluice::prefill {

Result<CheckedPrompt> TicketCheck::check(const nlohmann::json& body) const {
  CheckedPrompt p;
  SLUICE_ASSIGN(p.call, control::parse<control::PrefillRequest>(body));
  SLUICE_ASSIGN(p.ticket, kv::ticket_from_json(p.call.ticket));
  const kv::Ticket& t = p.ticket;
  if (t.prefill_node != me_.node || t.prefill_incarnation != me_.incarnation)
    return fail(Errc::stale, "the ticket is for another incarnation of this node");
  if (t.model_hash != me_.model_hash || !(t.layout == me_.layout))
    return fail(Errc::invalid_argument, "the ticket is for another model or KV layout");
  if (t.format_hash != codecs_.format_hash())
    return fail(Errc::invalid_argument, "the decode node was built with other KV codec formats");
  if (!(t.tokens == kv::TokenRange{0, static_cast<std::uint32_t>(p.call.tokens.size())}))
    return fail(Errc::invalid_argument, "the ticket covers {} tokens, the prompt has {}", t.tokens.count,
                p.call.tokens.size());
  p.profile = codecs_.profile(p.call.profile);
  if (p.profile == nullptr || t.profile != p.call.profile)
    return fail(Errc::invalid_argument, "KV profile '{}' is not what the ticket allows", p.call.profile);
  SLUICE_ASSIGN(p.plan, plan_of(p.call, t, *p.profile, codecs_));
  return p;
}

}  // namespace sluice::prefill
