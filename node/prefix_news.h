#pragma once
// What each coordinator is told of a node's prefix cache: with every heartbeat what has changed since the one before.
// Who is new, or missed more than the cache remembers, is told all names, over as many heartbeats as that takes.
//
// Threading: one thread at a time (the node's control thread).
#include <functional>
#include <map>

#include "common/control/leg_space.h"
#include "common/control/messages.h"
#include "engine/policy/prefix_log.h"

namespace sluice::node {

class PrefixNews {
 public:
  using Since = std::function<engine::PrefixChanges(std::uint64_t from)>;
  /// `since`: PrefixCache::changes_since of the node's cache; outlives this.
  explicit PrefixNews(Since since) : since_(std::move(since)) {}

  /// For the next heartbeat to this coordinator; nothing when there is no news.
  [[nodiscard]] std::optional<control::PrefixReport> next(control::LegSpace to);
  /// It is gone, or knows nothing any more.
  void forget(control::LegSpace of) { told_.erase(of); }

 private:
  struct Told {
    engine::PrefixChanges open;           // not all of it is told
    std::size_t stored = 0, removed = 0;  // of those, that are
  };
  Since since_;
  std::map<control::LegSpace, Told> told_;
};

}  // namespace sluice::node
