#pragma once
// Lasting slots for names, so that what was learned of a node or profile survives its leaving a snapshot, and so that
// the way of a decision is indices only. Pure; not thread-safe.
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/policy/types.h"

namespace sluice::coordinator {

using Slot = std::uint32_t;

/// Slots of one kind of name, given out in order.
class Slots {
 public:
  [[nodiscard]] Slot of(const std::string& name);
  /// The slot of a name seen before, else size().
  [[nodiscard]] Slot find(const std::string& name) const;
  [[nodiscard]] const std::string& name(Slot s) const { return names_[s]; }
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }

 private:
  std::unordered_map<std::string, Slot> index_;
  std::vector<std::string> names_;
};

struct Directory {
  Slots prefills, decodes, profiles;
  // Slots of the bound snapshot's entries, by its indices.
  std::vector<Slot> prefill, decode, profile;

  /// Follows the snapshot's nodes and profiles. True when something changed. A snapshot with a topology number is
  /// recognised by it; without one (0) every name is compared.
  bool bind(const ClusterSnapshot& c);

 private:
  [[nodiscard]] bool same(const ClusterSnapshot& c) const;
  std::uint64_t topology_ = 0;
};

}  // namespace sluice::coordinator
