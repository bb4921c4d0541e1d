#pragma once
// SLO classes as an operator sees and sets them: live for requests that come from now on, noted among the decisions.
// Owns the SloBook. Where several coordinators share classes, a change is written to their store first, and takes
// effect here once that has confirmed it; what others change is taken over. Threading: the coordinator's io_context
// thread. Failure: the book's errors and the store's, in words for a person.
#include <functional>
#include <set>
#include <string>

#include "coordinator/cluster/cluster_view.h"
#include "coordinator/policy/placement.h"
#include "coordinator/policy/slo_book.h"
#include "coordinator/policy/slo_store.h"
#include "coordinator/serving/decision_log.h"

namespace sluice::coordinator {

class SloDesk {
 public:
  struct Uses {
    ClusterView& view;
    Placement& placement;
    DecisionLog& log;
    const Clock& clock;
    std::function<void()> changed;  // what should be on disk at once
  };
  SloDesk(Uses u, const Slo& defaults) : use_(std::move(u)), book_(defaults) {}

  /// From now on classes are shared. Borrowed.
  void share(SloStore& store) noexcept { store_ = &store; }
  /// As change() and remove(), but for all coordinators: `done` comes once the change is in force, or with why not.
  void request_change(const std::string& name, const nlohmann::json& settings, const std::string& who,
                      SloStore::Done done);
  void request_remove(const std::string& name, const std::string& who, SloStore::Done done);
  /// The classes are exactly these now, by another coordinator's word. One that cannot be read stays as it is here.
  void take_over(const nlohmann::json& classes);

  /// Changes or makes a class, here alone. `who` is for the record.
  [[nodiscard]] Result<> change(const std::string& name, const nlohmann::json& settings, const std::string& who);
  [[nodiscard]] Result<> remove(const std::string& name, const std::string& who);
  /// Whether the class's objectives are within reach, and what binds.
  [[nodiscard]] Result<nlohmann::json> explain(const std::string& name);
  [[nodiscard]] SloBook& book() noexcept { return book_; }
  [[nodiscard]] const SloBook& book() const noexcept { return book_; }

 private:
  void note(const std::string& name, nlohmann::json now, const std::string& who);
  void write(const std::string& name, const nlohmann::json& settings, const std::string& who, int tries,
             const SloStore::Done& done);

  Uses use_;
  SloBook book_;
  SloStore* store_ = nullptr;
  std::multiset<std::string> writing_;  // classes whose change the store has not confirmed yet
};

}  // namespace sluice::coordinator
