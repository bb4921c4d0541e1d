#pragma once
// What a request's frames may go under: its profile, and the others that the coordinator names and the ticket lists.
// Pure.
#include "common/control/messages.h"
#include "kvtransfer/wire/ticket.h"
#include "node/export/profile_choice.h"

namespace sluice::prefill {

/// With an order (call.change), exactly that change; invalid_argument when the ticket does not allow it. Else the
/// call's ways, of which those that the ticket does not list, or that this node lacks, are left out.
[[nodiscard]] Result<node::ProfilePlan> plan_of(const control::PrefillRequest& call, const kv::Ticket& ticket,
                                                const kv::Profile& chosen, const kv::CodecRegistry& codecs);

}  // namespace sluice::prefill
