#include "prefill_node/request_table.h"

namespace sluice::prefill {

bool RequestTable::add(RequestId id, OpenRequest r) {
  const std::lock_guard lock(mutex_);
  return open_.emplace(id, std::move(r)).second;
}

bool RequestTable::erase(RequestId id) {
  const std::lock_guard lock(mutex_);
  return open_.erase(id) > 0;
}

bool RequestTable::with(RequestId id, const std::function<void(OpenRequest&)>& f) {
  const std::lock_guard lock(mutex_);
  const auto it = open_.find(id);
  if (it == open_.end()) return false;
  f(it->second);
  return true;
}

std::optional<OpenRequest> RequestTable::take(RequestId id, const kv::TicketId& ticket) {
  const std::lock_guard lock(mutex_);
  const auto it = open_.find(id);
  if (it == open_.end() || it->second.prompt.ticket.id != ticket) return std::nullopt;
  std::optional<OpenRequest> out(std::move(it->second));
  open_.erase(it);
  return out;
}

std::vector<RequestId> RequestTable::clear(control::LegSpace of) {
  std::vector<RequestId> ids;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, r] : open_)
    if (control::space_of(id) == of) ids.push_back(id);
  for (const RequestId id : ids) open_.erase(id);
  return ids;
}

std::size_t RequestTable::size() const {
  const std::lock_guard lock(mutex_);
  return open_.size();
}

}  // namespace sluice::prefill
