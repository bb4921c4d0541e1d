#pragma once
// SLO classes as an operator sees and sets them: live for requests that come from now on, noted among the decisions.
// Owns the SloBook. Threading: the coordinator's io_context thread. Failure: the book's errors, in words for a person.
#include <functional>

#include "coordinator/cluster/cluster_view.h"
#include "coordinator/policy/placement.h"
#include "coordinator/policy/slo_book.h"
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

  /// Changes or makes a class. `who` is for the record.
  [[nodiscard]] Result<> change(const std::string& name, const nlohmann::json& settings, const std::string& who);
  [[nodiscard]] Result<> remove(const std::string& name, const std::string& who);
  /// Whether the class's objectives are within reach, and what binds.
  [[nodiscard]] Result<nlohmann::json> explain(const std::string& name);
  [[nodiscard]] SloBook& book() noexcept { return book_; }
  [[nodiscard]] const SloBook& book() const noexcept { return book_; }

 private:
  void note(const std::string& name, nlohmann::json now, const std::string& who);

  Uses use_;
  SloBook book_;
};

}  // namespace sluice::coordinator
