#pragma once
// Whether a prompt may be computed and sent from this process: its ticket against what the process is. The decode node
// checks the same again, frame by frame; here a request fails before it has cost anything.
// Threading: constant after construction.
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "common/control/messages.h"
#include "common/prefix/key.h"
#include "kvtransfer/wire/ticket.h"
#include "node/export/profile_choice.h"
#include "node/kv/kv_identity.h"

namespace sluice::prefill {

struct CheckedPrompt {
  control::PrefillRequest call;
  kv::Ticket ticket;
  const kv::Profile* profile = nullptr;
  node::ProfilePlan plan;
  std::optional<prefix::PrefixKey> root;  // as Prompt has it
};

class TicketCheck {
 public:
  TicketCheck(node::KvIdentity me, const kv::CodecRegistry& codecs) : me_(std::move(me)), codecs_(codecs) {}

  /// Reads a call of the coordinator. stale: the ticket names an earlier incarnation of this node, or another node.
  /// invalid_argument: another model, layout, build or number of tokens, a profile that the ticket does not allow, or a
  /// root of prefixes that is none.
  [[nodiscard]] Result<CheckedPrompt> check(const nlohmann::json& body) const;

 private:
  const node::KvIdentity me_;
  const kv::CodecRegistry& codecs_;
};

}  // namespace sluice::prefill
