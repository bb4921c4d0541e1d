#include "coordinator/ctl/down.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

namespace sluice::ctl {
namespace {

using Clock = std::chrono::steady_clock;
using Members = std::vector<const Member*>;

constexpr auto kAtOnce = std::chrono::seconds(3);       // for a second SIGTERM to work
constexpr auto kNodesAlone = std::chrono::seconds(10);  // nodes without a coordinator have little left to do

bool any_alive(const Members& members) {
  reap();
  return std::ranges::any_of(members, [](const Member* m) { return alive(m->process); });
}

bool wait_end(const Members& members, Clock::duration limit) {
  for (const auto end = Clock::now() + limit; any_alive(members);) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

void signal_all(const Members& members, int number) {
  for (const Member* m : members) signal(m->process, number);
}

/// Ends them all, politely first; tells which had to be killed.
void stop(const Members& members, Clock::duration drain, DownReport& report) {
  Members running;
  for (const Member* m : members) {
    if (alive(m->process))
      running.push_back(m);
    else
      report.gone.push_back(m->name);
  }
  signal_all(running, SIGTERM);
  if (!wait_end(running, drain)) {
    signal_all(running, SIGTERM);
    wait_end(running, kAtOnce);
  }
  for (const Member* m : running) (alive(m->process) ? report.killed : report.stopped).push_back(m->name);
  signal_all(running, SIGKILL);
  wait_end(running, kAtOnce);
}

/// What the members use now, and what they used when the cluster came up (a node that crashed since cannot be asked).
std::set<std::string> shared_memory(const ClusterState& s) {
  std::set<std::string> files;
  for (const auto& m : s.members) {
    files.insert(m.shared_memory.begin(), m.shared_memory.end());
    if (!alive(m.process)) continue;
    for (auto& f : shared_memory_of(m.process.pid)) files.insert(std::move(f));
  }
  return files;
}

}  // namespace

DownReport take_down(const ClusterState& s, const RunDir& dir, int drain_s) {
  DownReport report;
  Members front, nodes;
  for (const auto& m : s.members) (m.role == "coordinator" ? front : nodes).push_back(&m);
  auto files = shared_memory(s);
  stop(front, std::chrono::seconds(drain_s), report);
  files.merge(shared_memory(s));  // requests that were still running may have opened more
  stop(nodes, kNodesAlone, report);
  report.removed_memory = remove_unused_shared_memory({files.begin(), files.end()});
  dir.forget();
  return report;
}

Result<int> down(const RunDir& dir, int drain_s, bool as_json) {
  std::error_code ec;
  DownReport r;
  bool found = false;
  if (std::filesystem::exists(dir.path(), ec)) {
    SLUICE_TRY(dir.create());  // checks that it is ours
    SLUICE_ASSIGN(const auto lock, dir.lock(true));
    SLUICE_ASSIGN(const auto state, dir.load());
    found = state.has_value();
    if (found) r = take_down(*state, dir, drain_s);
  }
  if (as_json) {
    const nlohmann::json j{{"cluster", found},
                           {"stopped", r.stopped},
                           {"killed", r.killed},
                           {"gone", r.gone},
                           {"removed_shared_memory", r.removed_memory}};
    fmt::print("{}\n", j.dump(2));
    return 0;
  }
  if (!found) fmt::print("no cluster is running in {}\n", dir.path().string());
  if (!r.stopped.empty()) fmt::print("stopped: {}\n", fmt::join(r.stopped, ", "));
  if (!r.killed.empty()) fmt::print("killed (did not stop in time): {}\n", fmt::join(r.killed, ", "));
  if (!r.gone.empty()) fmt::print("had ended before: {}\n", fmt::join(r.gone, ", "));
  if (!r.removed_memory.empty()) fmt::print("removed: {}\n", fmt::join(r.removed_memory, ", "));
  return 0;
}

}  // namespace sluice::ctl
