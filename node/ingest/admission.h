#pragma once
// Who may send KV to this node: hellos are checked against what it runs, and tickets are drawn up for what it expects.
// Whether a frame has its ticket's right is kv::TicketBook's to say. Threading: constant after construction.
#include <span>
#include <vector>

#include "common/control/messages.h"
#include "engine/policy/block_allocator.h"
#include "kvtransfer/wire/handshake.h"
#include "kvtransfer/wire/ticket.h"
#include "node/kv/kv_identity.h"

namespace sluice::node {

/// A ticket, and the profiles that its frames may have besides its own.
struct DrawnTicket {
  kv::Ticket ticket;
  std::vector<const kv::Profile*> fallbacks;
};

class Admission {
 public:
  Admission(KvIdentity me, const kv::CodecRegistry& codecs, std::uint32_t block_size)
      : me_(std::move(me)), codecs_(codecs), block_size_(block_size) {}

  [[nodiscard]] const KvIdentity& me() const noexcept { return me_; }
  /// A ticket with fresh secrets for positions [0, kv_tokens) into `blocks`. It lists the codecs of the request's
  /// fallbacks. not_found when this node lacks one of the profiles.
  [[nodiscard]] Result<DrawnTicket> draw(const control::ReserveRequest& r, std::span<const engine::BlockHandle> blocks,
                                         kv::SealMode seal) const;
  /// The peer that greets; invalid_argument when it runs another model, KV layout or build.
  [[nodiscard]] Result<kv::Hello> greet(std::span<const std::byte> hello) const;

 private:
  [[nodiscard]] Result<const kv::Profile*> profile(const std::string& name) const;

  const KvIdentity me_;
  const kv::CodecRegistry& codecs_;
  const std::uint32_t block_size_;
};

}  // namespace sluice::node
