#pragma once
// Reads the hottest message, `tokens`, straight from its bytes: no JSON is built, nothing is allocated once `out` has
// grown. It knows exactly the bytes that our own writer makes of one, in any width of its numbers:
//
//   {"b": {"items": [[request, index, id, stop, logprob, [[id, logprob], ...]], ...]}, "t": "tokens"}
//
// Anything else is the common reader's (rpc.h, messages.h), which says what is wrong with it or understands another
// version's. What this one takes, that one takes too, and reads the same of it.
// Threading: none, values. Failure: false; `out` is then empty.
#include <cstdint>
#include <span>

#include "common/control/messages.h"

namespace sluice::control {

/// `message`: a frame of the control plane without its length.
[[nodiscard]] bool read_tokens_message(std::span<const std::uint8_t> message, Tokens& out);

}  // namespace sluice::control
