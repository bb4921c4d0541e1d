#include "node/kv/profile_change.h"

#include <algorithm>

namespace sluice::node {

bool changed(std::span<const ChangeStep> steps, std::uint32_t token, std::uint32_t layer) {
  const auto after = std::ranges::upper_bound(steps, token, {}, &ChangeStep::token);
  return after != steps.begin() && layer >= std::prev(after)->layer;
}

Result<> ChangeTracker::add(std::uint32_t token, std::uint32_t layer, std::uint32_t layers, bool changed) {
  Column& c = columns_[token];
  if (changed)
    c.changed = std::min(c.changed, layer);
  else
    c.kept = std::max(c.kept, layer + layers);
  if (c.kept > c.changed) return fail(Errc::data_corrupt, "at token {} the profile changes back and forth", token);
  return {};
}

Result<std::vector<ChangeStep>> ChangeTracker::steps() const {
  std::vector<ChangeStep> out;
  std::uint32_t last = layers_;
  for (const auto& [token, column] : columns_) {
    const std::uint32_t from = std::min(column.changed, layers_);
    if (from != last) out.push_back({token, from});
    last = from;
  }
  if (out.size() > kMaxChangeSteps)
    return fail(Errc::data_corrupt, "the profile changes in {} places, at most {} are told", out.size(),
                kMaxChangeSteps);
  return out;
}

}  // namespace sluice::node
