#include "coordinator/api/prompt_queue.h"

#include <algorithm>
#include <utility>

namespace sluice::coordinator {

namespace {

/// Whose turn a job takes. Answers that are to be written do not stand behind their client's prompts, nor rest with it.
std::string turn_of(const PromptJob& job) { return job.refusable ? job.client : job.client + "\nanswers"; }

}  // namespace

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
  const auto turn = turn_of(entry.job);
  auto& own = lane.by_turn[turn];
  if (own.empty()) lane.turns.push_back(turn);
  own.push_back(std::move(entry));
}

bool PromptQueue::rests(const std::string& turn, PromptLane lane, TimePoint now) const {
  const auto& all = lanes_[index(lane)].rests;
  const auto until = all.find(turn);
  return until != all.end() && now < until->second;
}

void PromptQueue::refused(const std::string& client, PromptLane lane, Duration cost, TimePoint now) {
  auto& all = lanes_[index(lane)].rests;
  std::erase_if(all, [now](const auto& r) { return r.second <= now; });
  if (lane == PromptLane::brief && cost <= limits_.brief_free) return;
  auto& until = all[client];
  until = std::max(until, now + std::min(cost * limits_.refused_cost, limits_.longest_rest));
}

std::optional<TimePoint> PromptQueue::rested(PromptLane which) const {
  std::optional<TimePoint> first;
  const Lane& lane = lanes_[index(which)];
  for (const auto& turn : lane.turns) {
    const auto until = lane.rests.find(turn);
    const TimePoint at = until == lane.rests.end() ? TimePoint::min() : until->second;
    first = first ? std::min(*first, at) : at;
  }
  return first;
}

std::optional<PromptQueue::Entry> PromptQueue::pop(PromptLane which, TimePoint now) {
  Lane& lane = lanes_[index(which)];
  const auto next = std::ranges::find_if(lane.turns, [&](const std::string& turn) { return !rests(turn, which, now); });
  if (next == lane.turns.end()) return std::nullopt;
  std::string turn = std::move(*next);
  lane.turns.erase(next);
  const auto own = lane.by_turn.find(turn);
  std::optional<Entry> entry = std::move(own->second.front());
  own->second.pop_front();
  if (own->second.empty())
    lane.by_turn.erase(own);
  else
    lane.turns.push_back(std::move(turn));
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
