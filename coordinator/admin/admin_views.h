#pragma once
// What the operator's surface needs of the service, and no more. Owned here; the process that has both implements them.
// Threading: the coordinator's io_context thread.
#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/ids.h"
#include "common/result.h"
#include "coordinator/cluster/cluster_view.h"
#include "coordinator/policy/quality_watch.h"
#include "coordinator/policy/slo_book.h"

namespace sluice::coordinator {

/// The service at a glance.
struct ServiceStatus {
  bool ready = false;
  std::string reason;  // why not
  std::string model;
  std::string control_address;
  std::size_t waiting = 0, active = 0;
  nlohmann::json nodes;  // counts
};

class StatusView {
 public:
  virtual ~StatusView() = default;
  [[nodiscard]] virtual ServiceStatus status() const = 0;
};

class NodesView {
 public:
  virtual ~NodesView() = default;
  [[nodiscard]] virtual const ClusterView& cluster() const = 0;
  [[nodiscard]] virtual const QualityWatch& quality() const = 0;
  /// Stops placing on a node and tells it to finish what it has. not_found: no such node. invalid_argument: the last
  /// one of its role, without `force`.
  [[nodiscard]] virtual Result<> drain(const NodeId& node, bool force) = 0;
  /// Moves a running request to another decode node. `done` comes once that is over, with what became of each of its
  /// choices; with an error when none moved.
  virtual void migrate(const std::string& request, const NodeId& node,
                       std::function<void(Result<nlohmann::json>)> done) = 0;
};

class RolesView {
 public:
  virtual ~RolesView() = default;
  /// `done` comes once the node has begun to change, or with why it does not.
  using Done = std::function<void(Result<>)>;
  virtual void change_role(const NodeId& node, control::Role to, bool force, Done done) = 0;
  /// The role that a node is changing to.
  [[nodiscard]] virtual std::optional<control::Role> becomes(const NodeId& node) const = 0;
  /// Changes under way, the load, and what the balance of the roles makes of it.
  [[nodiscard]] virtual nlohmann::json roles() const = 0;
};

class SloView {
 public:
  virtual ~SloView() = default;
  [[nodiscard]] virtual const SloBook& slos() const = 0;
  /// Changes or makes a class, for all coordinators. `who` is for the record. `done` comes once it is in force.
  using Done = std::function<void(Result<>)>;
  virtual void change_slo(const std::string& name, const nlohmann::json& settings, const std::string& who,
                          Done done) = 0;
  virtual void remove_slo(const std::string& name, const std::string& who, Done done) = 0;
  [[nodiscard]] virtual Result<nlohmann::json> explain_slo(const std::string& name) = 0;
};

class DecisionsView {
 public:
  virtual ~DecisionsView() = default;
  /// Entries with a sequence number above `after`, oldest first, at most `limit` of the newest.
  [[nodiscard]] virtual nlohmann::json decisions(std::uint64_t after, std::size_t limit) const = 0;
  /// What was served since the start, by class and by profile.
  [[nodiscard]] virtual nlohmann::json totals() const = 0;
};

class CoordinatorsView {
 public:
  virtual ~CoordinatorsView() = default;
  /// {"registry", "in_touch", "coordinators": [{"id", "http", "control", "version", "since", "leader", "me"}]}
  [[nodiscard]] virtual nlohmann::json coordinators() const = 0;
};

/// Borrowed for as long as the routes are served.
struct AdminViews {
  const StatusView& status;
  NodesView& nodes;
  RolesView& roles;
  SloView& slos;
  const DecisionsView& decisions;
  const CoordinatorsView& coordinators;
};

}  // namespace sluice::coordinator
