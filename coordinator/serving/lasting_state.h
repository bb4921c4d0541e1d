#pragma once
// What should outlive this process: what the policies learned, and what a person set. Gathers it from its owners and
// gives it back; where it is kept is another's job (StateFile). Holds no state but whom to call after a change, and the
// objectives that this process was started with.
//
// Flags against state: the objectives of the default class may come from both. Whoever spoke last is heard. The state
// holds the flags' values of its time, too: one that differs from this process's has been changed since, and wins; else
// what the state says (a person set it) wins. Either is logged where the two differ.
// Threading: the coordinator's io_context thread.
#include <functional>
#include <nlohmann/json.hpp>

#include "common/clock.h"
#include "coordinator/policy/output_lengths.h"
#include "coordinator/policy/placement.h"
#include "coordinator/policy/quality_watch.h"
#include "coordinator/policy/slo_book.h"

namespace sluice::coordinator {

class LastingState {
 public:
  struct Parts {
    Placement& placement;
    OutputLengths& lengths;
    SloBook& slos;
    QualityWatch& quality;
    std::function<void()> quality_changed = [] {};  // by somebody else than its probes
  };
  /// While `p.slos` still has the objectives of the flags.
  LastingState(const Parts& p, const Clock& clock)
      : parts_(p), clock_(clock), configured_(slo_json(p.slos.defaults())) {}

  [[nodiscard]] nlohmann::json save() const;
  /// What an earlier process left. A part that cannot be used is logged and left out.
  void load(const nlohmann::json& state);
  /// What other coordinators learned, entry by entry; nothing else of ours changes.
  void adopt(const nlohmann::json& state);
  /// The lengths of outputs that others saw, all that are known now.
  void borrow(const std::vector<nlohmann::json>& outputs) { parts_.lengths.borrow(outputs); }
  /// Called after every change that should be on disk at once.
  void on_change(std::function<void()> f) { on_change_ = std::move(f); }
  void changed() const {
    if (on_change_) on_change_();
  }

 private:
  void load_objectives(const nlohmann::json& state);

  Parts parts_;
  const Clock& clock_;
  const nlohmann::json configured_;
  std::function<void()> on_change_;
};

}  // namespace sluice::coordinator
