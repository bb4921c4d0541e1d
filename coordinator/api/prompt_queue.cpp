#include "coordinator/api/prompt_queue.h"

#include <utility>

namespace sluice::coordinator {

PromptQueue::Full PromptQueue::full(const PromptJob& job) const {
  if (!job.refusable) return Full::no;
  const auto held = bytes_of_.find(job.client);
  const std::size_t own = held == bytes_of_.end() ? 0 : held->second;
  if (own + job.bytes > limits_.client_bytes) return Full::client;
  return bytes() + job.bytes > limits_.total_bytes ? Full::all : Full::no;
}

void PromptQueue::push(Entry entry) {
  const std::size_t bytes = entry.job.bytes;
  Lane& lane = lanes_[index(lane_of(entry.job))];
  if (bytes > 0) bytes_of_[entry.job.client] += bytes;
  lane.bytes += bytes;
  ++lane.count;
  auto& own = lane.by_client[entry.job.client];
  if (own.empty()) lane.turns.push_back(entry.job.client);
  own.push_back(std::move(entry));
}

std::optional<PromptQueue::Entry> PromptQueue::pop(PromptLane which) {
  Lane& lane = lanes_[index(which)];
  if (lane.turns.empty()) return std::nullopt;
  const auto own = lane.by_client.find(lane.turns.front());
  std::optional<Entry> entry = std::move(own->second.front());
  own->second.pop_front();
  if (own->second.empty())
    lane.by_client.erase(own);
  else
    lane.turns.push_back(lane.turns.front());
  lane.turns.pop_front();
  const std::size_t bytes = entry->job.bytes;
  lane.bytes -= bytes;
  --lane.count;
  const auto held = bytes_of_.find(entry->job.client);
  if (held == bytes_of_.end()) return entry;  // it has none of any length
  held->second -= bytes;
  if (held->second == 0) bytes_of_.erase(held);
  return entry;
}

}  // namespace sluice::coordinator
