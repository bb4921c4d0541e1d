#pragma once
// A quality probe's reference on the wire: the head of the next-token distribution that the prefill node computed over
// its own, exact KV. It travels as a note (docs/wire_format.md), sealed under the ticket's key as frames are, so that
// nobody but the ticket's bearer can say how good a profile is, and nobody on the way reads what the prompt continues
// with. One per ticket at most: it is sealed under a nonce of its own that is used once.
// Parsing treats the bytes as hostile. Threading: pure functions.
#include <span>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "kvtransfer/wire/ticket.h"

namespace sluice::kv {

/// The head of a next-token distribution.
struct HeadDistribution {
  struct Entry {
    TokenId id = 0;
    float logprob = 0;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  std::vector<Entry> top;  // by id, each once
  float tail = 0;          // probability of all tokens that are not in top
  friend bool operator==(const HeadDistribution&, const HeadDistribution&) = default;
};

/// Most tokens of a reference: with more the note would not fit a message header.
inline constexpr std::size_t kMaxReferenceTokens = 56;

/// invalid_argument when the head is empty, too long or not in order.
[[nodiscard]] Result<std::vector<std::byte>> write_reference(const Ticket& ticket, const HeadDistribution& head);
/// Whether a note claims to be a reference, and for which ticket. data_corrupt when it is malformed.
[[nodiscard]] bool is_reference(std::span<const std::byte> note) noexcept;
[[nodiscard]] Result<TicketId> reference_ticket(std::span<const std::byte> note);
/// Checks seal and contents. data_corrupt for everything that the ticket's bearer would not have sent.
[[nodiscard]] Result<HeadDistribution> open_reference(const Ticket& ticket, std::span<const std::byte> note);

}  // namespace sluice::kv
