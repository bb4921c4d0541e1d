#include "kvtransfer/wire/ticket_book.h"

#include <cstring>
#include <utility>

namespace sluice::kv {

TicketBook::TicketBook(Incarnation self, const Clock& clock, TicketBookOptions options)
    : self_(self), clock_(clock), options_(options) {}

// Ids are random, so any eight of their bytes are a hash.
std::size_t TicketBook::IdHash::operator()(const TicketId& id) const noexcept {
  std::size_t h = 0;
  std::memcpy(&h, id.value().data(), sizeof h);
  return h;
}

Result<> TicketBook::issue(Ticket t) {
  const std::lock_guard lock(mu_);
  if (open_.size() >= options_.max_open)
    return fail(Errc::resource_exhausted, "{} transfers are open already", open_.size());
  if (t.decode_incarnation != self_) return fail(Errc::stale, "the ticket names another incarnation of this node");
  const TicketId id = t.id;
  if (open_.contains(id) || ended_.contains(id)) return fail(Errc::already_exists, "ticket {} exists", to_hex(id));
  Open o;
  o.deadline = clock_.now() + t.valid_for;
  o.ticket = std::make_shared<const Ticket>(std::move(t));
  open_.emplace(id, std::move(o));
  return {};
}

Error TicketBook::ended_error(Ending how) const {
  switch (how) {
    case Ending::finished:
      return {Errc::already_exists, "the ticket was used before", {}};
    case Ending::revoked:
      return {Errc::cancelled, "the ticket was revoked", {}};
    case Ending::expired:
      break;
  }
  return {Errc::stale, "the ticket's time is over", {}};
}

Result<std::shared_ptr<const Ticket>> TicketBook::admit(const FrameHeader& h, std::uint64_t bearer) {
  if (h.decode_incarnation != self_) return fail(Errc::stale, "the frame is for an earlier life of this decode node");
  const std::lock_guard lock(mu_);
  const auto it = open_.find(h.ticket);
  if (it == open_.end()) {
    const auto was = ended_.find(h.ticket);
    if (was == ended_.end()) return fail(Errc::not_found, "no such ticket");
    return std::unexpected(ended_error(was->second));
  }
  Open& o = it->second;
  if (clock_.now() >= o.deadline) return std::unexpected(ended_error(Ending::expired));
  if (h.prefill_incarnation != o.ticket->prefill_incarnation)
    return fail(Errc::stale, "the frame is from another life of the prefill node");
  if (o.borne && o.bearer != bearer) return fail(Errc::already_exists, "the ticket is in use by another connection");
  if (h.payload_bytes > o.ticket->max_wire_bytes - o.received)
    return fail(Errc::data_corrupt, "more than the {} bytes that the ticket allows", o.ticket->max_wire_bytes);
  o.borne = true;
  o.bearer = bearer;
  o.received += h.payload_bytes;
  return o.ticket;
}

void TicketBook::end(OpenMap::iterator it, Ending how) {
  if (options_.max_remembered > 0) {
    if (ended_order_.size() >= options_.max_remembered) {
      ended_.erase(ended_order_.front());
      ended_order_.pop_front();
    }
    ended_.emplace(it->first, how);
    ended_order_.push_back(it->first);
  }
  open_.erase(it);
}

bool TicketBook::finish(const TicketId& id) {
  const std::lock_guard lock(mu_);
  const auto it = open_.find(id);
  if (it == open_.end()) return false;
  end(it, Ending::finished);
  return true;
}

bool TicketBook::revoke(const TicketId& id) {
  const std::lock_guard lock(mu_);
  const auto it = open_.find(id);
  if (it == open_.end()) return false;
  end(it, Ending::revoked);
  return true;
}

std::vector<std::shared_ptr<const Ticket>> TicketBook::expire() {
  std::vector<std::shared_ptr<const Ticket>> gone;
  const std::lock_guard lock(mu_);
  const TimePoint now = clock_.now();
  for (auto it = open_.begin(); it != open_.end();) {
    const auto here = it++;
    if (now < here->second.deadline) continue;
    gone.push_back(here->second.ticket);
    end(here, Ending::expired);
  }
  return gone;
}

std::size_t TicketBook::open() const {
  const std::lock_guard lock(mu_);
  return open_.size();
}

std::size_t TicketBook::remembered() const {
  const std::lock_guard lock(mu_);
  return ended_.size();
}

}  // namespace sluice::kv
