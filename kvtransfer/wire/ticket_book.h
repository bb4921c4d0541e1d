#pragma once
// The decode node's tickets. Pure logic under one mutex; thread-safe.
//
// A ticket's life: issue -> open (frames are admitted) -> finished | revoked | expired. Ended tickets are remembered by
// id, in a ring of bounded size, only to tell a replay from a stranger.
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "kvtransfer/wire/frame.h"
#include "kvtransfer/wire/ticket.h"

namespace sluice::kv {

struct TicketBookOptions {
  std::size_t max_open = 4096;
  std::size_t max_remembered = 65536;  // ended ids kept
};

class TicketBook {
 public:
  /// self: this decode process. clock must outlive the book.
  TicketBook(Incarnation self, const Clock& clock, TicketBookOptions options = {});

  /// resource_exhausted when max_open are open, already_exists for an id seen before. Its time starts now.
  [[nodiscard]] Result<> issue(Ticket t);

  /// A frame's header came over connection `bearer`: may its payload land? The first bearer of a ticket is its only
  /// one. Counts the payload against the ticket's max_wire_bytes, so call it once per frame.
  ///   stale           another incarnation of either node, or the ticket's time is over
  ///   already_exists  the ticket was used before (finished, or another bearer has it)
  ///   cancelled       it was revoked
  ///   not_found       never issued here, or ended so long ago that it is forgotten
  ///   data_corrupt    more bytes than the ticket allows
  [[nodiscard]] Result<std::shared_ptr<const Ticket>> admit(const FrameHeader& h, std::uint64_t bearer);

  /// All KV is committed: the ticket is used up. Returns false if it was not open.
  bool finish(const TicketId& id);
  /// The request was cancelled or its transfer failed. Returns false if it was not open.
  bool revoke(const TicketId& id);
  /// Ends every ticket whose time is over and returns them, so that the caller can free their blocks.
  [[nodiscard]] std::vector<std::shared_ptr<const Ticket>> expire();

  [[nodiscard]] std::size_t open() const;
  [[nodiscard]] std::size_t remembered() const;

 private:
  enum class Ending : std::uint8_t { finished, revoked, expired };
  struct IdHash {
    std::size_t operator()(const TicketId& id) const noexcept;
  };
  struct Open {
    std::shared_ptr<const Ticket> ticket;
    TimePoint deadline;
    std::uint64_t bearer = 0;
    bool borne = false;
    std::uint64_t received = 0;
  };
  using OpenMap = std::unordered_map<TicketId, Open, IdHash>;
  void end(OpenMap::iterator it, Ending how);
  [[nodiscard]] Error ended_error(Ending how) const;

  const Incarnation self_;
  const Clock& clock_;
  const TicketBookOptions options_;
  mutable std::mutex mu_;
  OpenMap open_;
  std::unordered_map<TicketId, Ending, IdHash> ended_;
  std::deque<TicketId> ended_order_;
};

}  // namespace sluice::kv
