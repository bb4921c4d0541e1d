#include "prefill_node/ticket_check.h"

#include "node/export/sender_ticket.h"
#include "prefill_node/profile_plan.h"

namespace sluice::prefill {

Result<CheckedPrompt> TicketCheck::check(const nlohmann::json& body) const {
  CheckedPrompt p;
  SLUICE_ASSIGN(p.call, control::parse<control::PrefillRequest>(body));
  SLUICE_ASSIGN(p.ticket, kv::ticket_from_json(p.call.ticket));
  SLUICE_ASSIGN(p.profile, node::check_sender_ticket(p.ticket, me_, codecs_, p.call.tokens.size(), p.call.profile));
  SLUICE_ASSIGN(p.plan, plan_of(p.call, p.ticket, *p.profile, codecs_));
  if (!p.call.prefix_root.empty()) {
    const auto root = prefix::PrefixKey::parse(p.call.prefix_root);
    if (!root) return fail_param("prefix_root", "prefix_root is no root of prefixes: {}", root.error().message);
    p.root = *root;
  }
  return p;
}

}  // namespace sluice::prefill
