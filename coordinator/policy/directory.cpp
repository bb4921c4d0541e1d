#include "coordinator/policy/directory.h"

namespace sluice::coordinator {

Slot Slots::of(const std::string& name) {
  const auto [it, added] = index_.try_emplace(name, static_cast<Slot>(names_.size()));
  if (added) names_.push_back(name);
  return it->second;
}

Slot Slots::find(const std::string& name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? static_cast<Slot>(names_.size()) : it->second;
}

bool Directory::same(const ClusterSnapshot& c) const {
  if (c.topology != 0) return c.topology == topology_;
  if (c.prefills.size() != prefill.size() || c.decodes.size() != decode.size() || c.profiles.size() != profile.size())
    return false;
  for (std::size_t i = 0; i < prefill.size(); ++i)
    if (c.prefills[i].id.value() != prefills.name(prefill[i])) return false;
  for (std::size_t i = 0; i < decode.size(); ++i)
    if (c.decodes[i].id.value() != decodes.name(decode[i])) return false;
  for (std::size_t i = 0; i < profile.size(); ++i)
    if (c.profiles[i].name != profiles.name(profile[i])) return false;
  return true;
}

bool Directory::bind(const ClusterSnapshot& c) {
  const bool known = same(c);
  topology_ = c.topology;
  if (known) return false;
  prefill.clear();
  decode.clear();
  profile.clear();
  for (const auto& p : c.prefills) prefill.push_back(prefills.of(p.id.value()));
  for (const auto& d : c.decodes) decode.push_back(decodes.of(d.id.value()));
  for (const auto& f : c.profiles) profile.push_back(profiles.of(f.name));
  return true;
}

}  // namespace sluice::coordinator
