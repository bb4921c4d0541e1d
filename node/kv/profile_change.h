#pragma once
// The two ends of a change of profile: the sender asks where it is (changed), the receiver finds out where it was
// (ChangeTracker). Both cut KV into the same columns: frames that begin at one token, layer after layer. A sender that
// changes once, in the order in which layers are computed, leaves few steps. Pure; one thread at a time.
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <vector>

#include "common/result.h"
#include "common/transfer/profile_change.h"

namespace sluice::node {

/// Whether a frame that begins at this token and layer went under the other profile. Steps rise by token.
[[nodiscard]] bool changed(std::span<const ChangeStep> steps, std::uint32_t token, std::uint32_t layer);

/// The receiver's side: what came under which of the two, in any order, and the steps that say so.
class ChangeTracker {
 public:
  explicit ChangeTracker(std::uint32_t layers) : layers_(layers) {}
  /// data_corrupt for a frame of the first profile behind one of the other in its column: no steps describe it.
  [[nodiscard]] Result<> add(std::uint32_t token, std::uint32_t layer, std::uint32_t layers, bool changed);
  /// Of a complete transfer. data_corrupt when it would take more than kMaxChangeSteps.
  [[nodiscard]] Result<std::vector<ChangeStep>> steps() const;

 private:
  struct Column {
    std::uint32_t kept = 0;                                             // layers below came under the first profile
    std::uint32_t changed = std::numeric_limits<std::uint32_t>::max();  // this one and later ones under the other
  };
  std::uint32_t layers_;
  std::map<std::uint32_t, Column> columns_;  // by first token
};

}  // namespace sluice::node
