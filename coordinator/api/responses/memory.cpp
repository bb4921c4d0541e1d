#include "coordinator/api/responses/memory.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sluice::coordinator {

namespace {

/// What an entry takes beside its texts.
constexpr std::size_t kOverhead = 512;

std::size_t bytes_of(const KeptResponse& r) {
  return kOverhead + r.id.size() + r.previous.size() + r.response.size() + r.input.size();
}

}  // namespace

void ResponseMemory::drop_last(Shelf& shelf) {
  const Entry& last = shelf.entries.back();
  shelf.by_id.erase(last.kept->id);
  shelf.bytes -= last.bytes;
  size_.bytes -= last.bytes;
  --size_.count;
  shelf.entries.pop_back();
}

void ResponseMemory::drop_unused() {
  const TimePoint now = clock_.now();
  for (auto it = shelves_.begin(); it != shelves_.end();) {
    Shelf& shelf = it->second;
    while (!shelf.entries.empty() && now - shelf.entries.back().used >= limits_.unused) drop_last(shelf);
    it = shelf.entries.empty() ? shelves_.erase(it) : std::next(it);
  }
}

void ResponseMemory::make_room() {
  while (size_.bytes > limits_.bytes || size_.count > limits_.count) {
    const auto most = std::ranges::max_element(shelves_, {}, [](const auto& named) { return named.second.bytes; });
    drop_last(most->second);
    if (most->second.entries.empty()) shelves_.erase(most);
  }
}

bool ResponseMemory::keep(const std::string& owner, KeptResponse response) {
  const std::size_t bytes = bytes_of(response);
  if (bytes > limits_.bytes || limits_.count == 0) return false;
  const std::lock_guard lock(mutex_);
  drop_unused();
  Shelf& shelf = shelves_[owner];
  auto kept = std::make_shared<const KeptResponse>(std::move(response));
  const std::string_view id = kept->id;
  shelf.entries.push_front({std::move(kept), bytes, clock_.now()});
  shelf.by_id.emplace(id, shelf.entries.begin());
  shelf.bytes += bytes;
  size_.bytes += bytes;
  ++size_.count;
  make_room();
  return true;
}

ResponseMemory::Kept ResponseMemory::use(Shelf& shelf, std::string_view id) {
  const auto it = shelf.by_id.find(id);
  if (it == shelf.by_id.end()) return nullptr;
  const auto entry = it->second;
  entry->used = clock_.now();
  shelf.entries.splice(shelf.entries.begin(), shelf.entries, entry);
  return entry->kept;
}

ResponseMemory::Kept ResponseMemory::find(const std::string& owner, std::string_view id) {
  const std::lock_guard lock(mutex_);
  drop_unused();
  const auto shelf = shelves_.find(owner);
  return shelf == shelves_.end() ? nullptr : use(shelf->second, id);
}

ResponseMemory::Chain ResponseMemory::chain(const std::string& owner, std::string_view id, std::size_t most) {
  const std::lock_guard lock(mutex_);
  drop_unused();
  Chain c;
  const auto shelf = shelves_.find(owner);
  // From the last to the first, so that the first is the last to go.
  for (std::string_view next = id; !next.empty() && c.responses.size() < most;) {
    Kept kept = shelf == shelves_.end() ? nullptr : use(shelf->second, next);
    if (!kept) return {{}, std::string(next)};
    next = kept->previous;
    c.responses.push_back(std::move(kept));
  }
  std::ranges::reverse(c.responses);
  return c;
}

bool ResponseMemory::erase(const std::string& owner, std::string_view id) {
  const std::lock_guard lock(mutex_);
  drop_unused();
  const auto shelf = shelves_.find(owner);
  if (shelf == shelves_.end()) return false;
  const auto it = shelf->second.by_id.find(id);
  if (it == shelf->second.by_id.end()) return false;
  shelf->second.entries.splice(shelf->second.entries.end(), shelf->second.entries, it->second);
  drop_last(shelf->second);
  if (shelf->second.entries.empty()) shelves_.erase(shelf);
  return true;
}

ResponseMemory::Size ResponseMemory::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

}  // namespace sluice::coordinator
