#pragma once
// Whether KV may be sent from this process under a ticket: the ticket against what the process is. The receiver checks
// the same again, frame by frame; here a request fails before it has cost anything. Pure.
#include <string>

#include "common/result.h"
#include "kvtransfer/codec/codec.h"
#include "kvtransfer/wire/ticket.h"
#include "node/kv/kv_identity.h"

namespace sluice::node {

/// The profile of a transfer of positions [0, tokens). stale: the ticket names an earlier incarnation of this node, or
/// another node. invalid_argument: another model, layout, build or number of tokens, or a profile that the ticket does
/// not allow.
[[nodiscard]] Result<const kv::Profile*> check_sender_ticket(const kv::Ticket& t, const KvIdentity& me,
                                                             const kv::CodecRegistry& codecs, std::size_t tokens,
                                                             const std::string& profile);

}  // namespace sluice::node
